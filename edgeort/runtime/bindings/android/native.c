// The native methods of a package's class Native (edgeort/bundle/android/sources/Native.java): edgeort.h, and a plan that lies
// somewhere in an open file, as an asset does in an app's package.
//
// EDGEORT_PACKAGE is the package of the Java classes, with slashes. The classes hold a lock over each call, and call none with a model
// that is closed.
#include <stdlib.h>
#include <string.h>

#include "edgeort.h"
#include "file_part.h"
#include "jni.h"

typedef struct {
  edgeort_model* model;
  FilePart plan;
} Opened;

static Opened* of(jlong handle) { return (Opened*)(intptr_t)handle; }

// Java reads messages as modified UTF-8, and Android aborts where they are none: what is not ASCII becomes a question mark.
static void fail(JNIEnv* env, const char* reason) {
  char message[EDGEORT_ERROR_BYTES];
  size_t n = 0;
  for (; reason[n] && n + 1 < sizeof(message); ++n) message[n] = (signed char)reason[n] > 0 ? reason[n] : '?';
  message[n] = 0;
  jobject kind = jni_find_class(env, EDGEORT_PACKAGE "/EdgeortException");
  if (kind) jni_throw_new(env, kind, message);
}

static jlong open_model(JNIEnv* env, jobject self, jint file, jlong offset, jlong length, jint threads) {
  (void)self;
  Opened* opened = malloc(sizeof(Opened));
  if (!opened) return fail(env, "out of memory"), 0;
  const char* reason = NULL;
  opened->plan = read_file_part(file, offset, length, &reason);
  if (reason) {
    free(opened);
    return fail(env, reason), 0;
  }
  const edgeort_options options = {.threads = threads};
  char error[EDGEORT_ERROR_BYTES];
  opened->model = edgeort_open_memory(opened->plan.data, opened->plan.bytes, &options, error);
  if (!opened->model) {
    release_file_part(&opened->plan);
    free(opened);
    return fail(env, error), 0;
  }
  return (jlong)(intptr_t)opened;
}

static jboolean is_copied(JNIEnv* env, jobject self, jlong handle) {
  (void)env, (void)self;
  return of(handle)->plan.is_copied;
}

static void close_model(JNIEnv* env, jobject self, jlong handle) {
  (void)env, (void)self;
  edgeort_close(of(handle)->model);
  release_file_part(&of(handle)->plan);
  free(of(handle));
}

static jint count(JNIEnv* env, jobject self, jlong handle, jboolean output) {
  (void)env, (void)self;
  return output ? edgeort_output_count(of(handle)->model) : edgeort_input_count(of(handle)->model);
}

static int describe(jlong handle, jboolean output, jint index, edgeort_tensor* tensor) {
  return (output ? edgeort_output : edgeort_input)(of(handle)->model, index, tensor);
}

static jobject bytes_of(JNIEnv* env, const char* text) {
  const jint size = (jint)strlen(text);
  jobject bytes = jni_new_bytes(env, size);
  if (bytes) jni_set_bytes(env, bytes, 0, size, (const jbyte*)text);
  return bytes;
}

static jobject name(JNIEnv* env, jobject self, jlong handle, jboolean output, jint index) {
  (void)self;
  edgeort_tensor tensor;
  if (describe(handle, output, index, &tensor)) return fail(env, "there is no such input or output"), NULL;
  return bytes_of(env, tensor.name);
}

// {element type, rank, dimensions}; the rank is -1 where it is not known before a run.
static jobject form(JNIEnv* env, jobject self, jlong handle, jboolean output, jint index) {
  (void)self;
  edgeort_tensor tensor;
  if (describe(handle, output, index, &tensor)) return fail(env, "there is no such input or output"), NULL;
  jlong numbers[2 + EDGEORT_MAX_RANK] = {tensor.dtype, tensor.rank};
  for (int32_t d = 0; d < tensor.rank; ++d) numbers[2 + d] = tensor.dims[d];
  const jint n = 2 + (tensor.rank > 0 ? tensor.rank : 0);
  jobject found = jni_new_longs(env, n);
  if (found) jni_set_longs(env, found, 0, n, numbers);
  return found;
}

// What the elements of a shape are, or -1 where they are more than a buffer has.
static int64_t elements_of(const edgeort_tensor* tensor) {
  int64_t n = 1;
  for (int32_t d = 0; d < tensor->rank; ++d) {
    const int64_t dim = tensor->dims[d];
    if (dim < 0 || (dim && n > INT32_MAX / dim)) return -1;
    n *= dim;
  }
  return n;
}

// Notes in the entries of Texts.java where their strings are; nonzero where those are not all in the buffer.
static int point_texts(edgeort_tensor* tensor) {
  edgeort_string* entries = tensor->data;
  const int64_t n = elements_of(tensor);
  if (n < 0 || (uint64_t)n > tensor->bytes / sizeof(edgeort_string)) return 1;
  const char* text = (const char*)(entries + n);
  uint64_t left = tensor->bytes - (uint64_t)n * sizeof(edgeort_string);
  for (int64_t i = 0; i < n; ++i) {
    if (entries[i].bytes > left) return 1;
    entries[i].data = text;
    text += entries[i].bytes, left -= entries[i].bytes;
  }
  return 0;
}

// Gives an input the data of a direct buffer, which is read in place until the next run ends.
static jint set_input(JNIEnv* env, jobject self, jlong handle, jint index, jint type, jobject shape, jobject buffer) {
  (void)self;
  edgeort_tensor tensor = {.dtype = type, .rank = jni_length(env, shape)};
  if (tensor.rank > EDGEORT_MAX_RANK) return fail(env, "a tensor has 8 dimensions at most"), EDGEORT_INVALID_ARGUMENT;
  jni_get_longs(env, shape, 0, tensor.rank, (jlong*)tensor.dims);
  tensor.data = jni_buffer_data(env, buffer);
  tensor.bytes = (size_t)jni_buffer_bytes(env, buffer);
  int is_empty = 0;
  for (int32_t d = 0; d < tensor.rank; ++d) is_empty |= tensor.dims[d] == 0;
  if (!is_empty && (!tensor.data || !tensor.bytes))
    return fail(env, "the data of an input must be in a direct buffer"), EDGEORT_INVALID_ARGUMENT;
  if (type == EDGEORT_STRING && point_texts(&tensor))
    return fail(env, "the strings of an input end beyond their buffer"), EDGEORT_INVALID_ARGUMENT;
  return edgeort_set_input(of(handle)->model, index, &tensor);
}

static jint run(JNIEnv* env, jobject self, jlong handle) {
  (void)env, (void)self;
  return edgeort_run(of(handle)->model);
}

// What the last status but 0 was about.
static jobject error(JNIEnv* env, jobject self, jlong handle) {
  (void)self;
  return bytes_of(env, edgeort_last_error(of(handle)->model));
}

// The runtime's own memory, which holds until the next run; null where an output has no elements.
static jobject output(JNIEnv* env, jobject self, jlong handle, jint index) {
  (void)self;
  edgeort_tensor tensor;
  if (describe(handle, 1, index, &tensor)) return fail(env, "there is no such output"), NULL;
  if (tensor.bytes > INT32_MAX) return fail(env, "an output has more than the 2 GiB that a buffer of Java holds"), NULL;
  return tensor.bytes ? jni_new_buffer(env, tensor.data, (jlong)tensor.bytes) : NULL;
}

// What the strings of an output take as Texts.java has them.
static jlong text_bytes(JNIEnv* env, jobject self, jlong handle, jint index) {
  (void)self;
  edgeort_tensor tensor;
  if (describe(handle, 1, index, &tensor)) return fail(env, "there is no such output"), 0;
  const edgeort_string* entries = tensor.data;
  uint64_t bytes = tensor.bytes;
  for (size_t i = 0; i < tensor.bytes / sizeof(*entries); ++i) bytes += entries[i].bytes;
  return (jlong)bytes;
}

static void copy_texts(JNIEnv* env, jobject self, jlong handle, jint index, jobject buffer) {
  (void)self;
  edgeort_tensor tensor;
  if (describe(handle, 1, index, &tensor)) return fail(env, "there is no such output");
  if (!tensor.bytes) return;
  const edgeort_string* entries = tensor.data;
  char* to = jni_buffer_data(env, buffer);
  char* text = to + tensor.bytes;
  memcpy(to, entries, tensor.bytes);
  for (size_t i = 0; i < tensor.bytes / sizeof(*entries); ++i) {
    memcpy(text, entries[i].data, (size_t)entries[i].bytes);
    text += entries[i].bytes;
  }
}

// Colours as Android has them, 0xAARRGGBB, into bytes of red, green and blue.
static void to_rgb(JNIEnv* env, jobject self, jobject colours, jobject buffer) {
  (void)self;
  enum { kPart = 1024 };
  jint part[kPart];
  uint8_t* to = jni_buffer_data(env, buffer);
  const jint n = jni_length(env, colours);
  if (!to || jni_buffer_bytes(env, buffer) / 3 < n) return fail(env, "the picture's buffer is too small");
  for (jint at = 0; at < n; at += kPart) {
    const jint some = n - at < kPart ? n - at : kPart;
    jni_get_ints(env, colours, at, some, part);
    for (jint i = 0; i < some; ++i, to += 3) {
      const uint32_t colour = (uint32_t)part[i];
      to[0] = (uint8_t)(colour >> 16), to[1] = (uint8_t)(colour >> 8), to[2] = (uint8_t)colour;
    }
  }
}

JNI_EXPORT jint JNI_OnLoad(JavaVM* vm, void* reserved) {
  (void)reserved;
  static const JNINativeMethod kMethods[] = {
      {"open", "(IJJI)J", (void*)(uintptr_t)open_model},
      {"isCopied", "(J)Z", (void*)(uintptr_t)is_copied},
      {"close", "(J)V", (void*)(uintptr_t)close_model},
      {"count", "(JZ)I", (void*)(uintptr_t)count},
      {"name", "(JZI)[B", (void*)(uintptr_t)name},
      {"form", "(JZI)[J", (void*)(uintptr_t)form},
      {"setInput", "(JII[JLjava/nio/ByteBuffer;)I", (void*)(uintptr_t)set_input},
      {"run", "(J)I", (void*)(uintptr_t)run},
      {"error", "(J)[B", (void*)(uintptr_t)error},
      {"output", "(JI)Ljava/nio/ByteBuffer;", (void*)(uintptr_t)output},
      {"textBytes", "(JI)J", (void*)(uintptr_t)text_bytes},
      {"copyTexts", "(JILjava/nio/ByteBuffer;)V", (void*)(uintptr_t)copy_texts},
      {"toRgb", "([ILjava/nio/ByteBuffer;)V", (void*)(uintptr_t)to_rgb},
  };
  JNIEnv* env;
  if (jni_environment(vm, &env)) return -1;
  jobject kind = jni_find_class(env, EDGEORT_PACKAGE "/Native");
  if (!kind || jni_register(env, kind, kMethods, sizeof(kMethods) / sizeof(kMethods[0]))) return -1;
  return JNI_VERSION_1_6;
}
