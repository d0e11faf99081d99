// As much of the Java Native Interface as the binding calls, declared by the specification: a function's place in JNIEnv is the
// index that its table "Interface Function Table" gives (Java Native Interface Specification, chapter 4).
#ifndef EDGEORT_JNI_H
#define EDGEORT_JNI_H

#include <stdint.h>

#define JNI_VERSION_1_6 0x00010006
#define JNI_EXPORT __attribute__((visibility("default")))

typedef int32_t jint;
typedef int64_t jlong;
typedef uint8_t jboolean;
typedef int8_t jbyte;
typedef void* jobject;
typedef const void* const* JNIEnv;
typedef const void* const* JavaVM;

typedef struct {
  const char* name;
  const char* signature;
  void* function;
} JNINativeMethod;

// The function at that index of the table, as one that returns `type` and takes the table's owner and what follows.
#define JNI_CALL(type, owner, index, parameters) ((type(*) parameters)(uintptr_t)(*(owner))[index])

static inline jint jni_environment(JavaVM* vm, JNIEnv** env) {
  return JNI_CALL(jint, vm, 6, (JavaVM*, void**, jint))(vm, (void**)env, JNI_VERSION_1_6);
}
static inline jobject jni_find_class(JNIEnv* env, const char* name) { return JNI_CALL(jobject, env, 6, (JNIEnv*, const char*))(env, name); }
static inline void jni_throw_new(JNIEnv* env, jobject kind, const char* message) {
  JNI_CALL(jint, env, 14, (JNIEnv*, jobject, const char*))(env, kind, message);
}
static inline jint jni_length(JNIEnv* env, jobject array) { return JNI_CALL(jint, env, 171, (JNIEnv*, jobject))(env, array); }
static inline jobject jni_new_bytes(JNIEnv* env, jint size) { return JNI_CALL(jobject, env, 176, (JNIEnv*, jint))(env, size); }
static inline jobject jni_new_longs(JNIEnv* env, jint size) { return JNI_CALL(jobject, env, 180, (JNIEnv*, jint))(env, size); }
static inline void jni_get_ints(JNIEnv* env, jobject array, jint start, jint count, jint* to) {
  JNI_CALL(void, env, 203, (JNIEnv*, jobject, jint, jint, jint*))(env, array, start, count, to);
}
static inline void jni_get_longs(JNIEnv* env, jobject array, jint start, jint count, jlong* to) {
  JNI_CALL(void, env, 204, (JNIEnv*, jobject, jint, jint, jlong*))(env, array, start, count, to);
}
static inline void jni_set_bytes(JNIEnv* env, jobject array, jint start, jint count, const jbyte* from) {
  JNI_CALL(void, env, 208, (JNIEnv*, jobject, jint, jint, const jbyte*))(env, array, start, count, from);
}
static inline void jni_set_longs(JNIEnv* env, jobject array, jint start, jint count, const jlong* from) {
  JNI_CALL(void, env, 212, (JNIEnv*, jobject, jint, jint, const jlong*))(env, array, start, count, from);
}
static inline jint jni_register(JNIEnv* env, jobject kind, const JNINativeMethod* methods, jint count) {
  return JNI_CALL(jint, env, 215, (JNIEnv*, jobject, const JNINativeMethod*, jint))(env, kind, methods, count);
}
static inline jobject jni_new_buffer(JNIEnv* env, void* data, jlong bytes) {
  return JNI_CALL(jobject, env, 229, (JNIEnv*, void*, jlong))(env, data, bytes);
}
static inline void* jni_buffer_data(JNIEnv* env, jobject buffer) { return JNI_CALL(void*, env, 230, (JNIEnv*, jobject))(env, buffer); }
static inline jlong jni_buffer_bytes(JNIEnv* env, jobject buffer) { return JNI_CALL(jlong, env, 231, (JNIEnv*, jobject))(env, buffer); }

#endif
