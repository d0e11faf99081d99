// As much of a Java virtual machine as the package's library calls: loads it, opens the plan that lies somewhere in a file, and runs it
// once on inputs 1, 2, 3, ... of float32. Prints the bits of the output.
//
//   jvm libedgeort_m.so FILE OFFSET LENGTH DIM...
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  int64_t n;
  void* data;
} Array;
typedef struct {
  const char* name;
  const char* signature;
  void* function;
} Method;
typedef void* Env;

static Method methods[16];
static int n_methods;

static void* find_class(Env* env, const char* name) { return (void)env, strdup(name); }
static int throw_new(Env* env, void* kind, const char* message) {
  (void)env;
  printf("%s: %s\n", (const char*)kind, message);
  exit(3);
}
static int length(Env* env, Array* array) { return (void)env, (int)array->n; }
static Array* made(int64_t n, void* data) {
  Array* array = malloc(sizeof(Array));
  *array = (Array){n, data};
  return array;
}
static Array* new_bytes(Env* env, int n) { return (void)env, made(n, malloc((size_t)n)); }
static Array* new_longs(Env* env, int n) { return (void)env, made(n, malloc((size_t)n * 8)); }
static void get_longs(Env* env, Array* array, int start, int n, int64_t* to) {
  (void)env;
  memcpy(to, (int64_t*)array->data + start, (size_t)n * 8);
}
static void set_bytes(Env* env, Array* array, int start, int n, const char* from) {
  (void)env;
  memcpy((char*)array->data + start, from, (size_t)n);
}
static void set_longs(Env* env, Array* array, int start, int n, const int64_t* from) {
  (void)env;
  memcpy((int64_t*)array->data + start, from, (size_t)n * 8);
}
static int register_natives(Env* env, void* kind, const Method* from, int n) {
  (void)env, (void)kind;
  memcpy(methods, from, (size_t)n * sizeof(Method));
  n_methods = n;
  return 0;
}
static Array* new_buffer(Env* env, void* data, int64_t n) { return (void)env, made(n, data); }
static void* buffer_data(Env* env, Array* buffer) { return (void)env, buffer->data; }
static int64_t buffer_bytes(Env* env, Array* buffer) { return (void)env, buffer->n; }

static void* functions[233];
static void* interface = functions;
static Env* const env = &interface;

static int get_env(void* vm, void** to, int version) {
  (void)vm;
  *to = env;
  return version == 0x00010006 ? 0 : -3;
}

static void* method(const char* name) {
  for (int i = 0; i < n_methods; ++i) {
    if (strcmp(methods[i].name, name) == 0) return methods[i].function;
  }
  return printf("no method %s\n", name), exit(4), NULL;
}
#define CALL(type, name, parameters) ((type(*) parameters)method(name))

int main(int argc, char** argv) {
  functions[6] = find_class, functions[14] = throw_new, functions[171] = length, functions[176] = new_bytes;
  functions[180] = new_longs, functions[204] = get_longs, functions[208] = set_bytes, functions[212] = set_longs;
  functions[215] = register_natives, functions[229] = new_buffer, functions[230] = buffer_data, functions[231] = buffer_bytes;
  void* vm_functions[7] = {0, 0, 0, 0, 0, 0, get_env};
  void* vm = vm_functions;

  void* library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (!library) return printf("%s\n", dlerror()), 1;
  int (*on_load)(void**, void*) = (int (*)(void**, void*))dlsym(library, "JNI_OnLoad");
  if (!on_load || on_load(&vm, NULL) != 0x00010006) return printf("it does not load\n"), 1;

  const int64_t handle = CALL(int64_t, "open", (Env*, void*, int, int64_t, int64_t, int))(env, NULL, open(argv[2], O_RDONLY),
                                                                                          atoll(argv[3]), atoll(argv[4]), 2);
  printf("copied: %d\n", CALL(uint8_t, "isCopied", (Env*, void*, int64_t))(env, NULL, handle));
  const Array* name = CALL(Array*, "name", (Env*, void*, int64_t, uint8_t, int))(env, NULL, handle, 0, 0);
  printf("input: %.*s\n", (int)name->n, (const char*)name->data);
  int64_t dims[8], count = 1;
  for (int i = 5; i < argc; ++i) count *= dims[i - 5] = atoll(argv[i]);
  float* values = malloc((size_t)count * 4);
  for (int64_t i = 0; i < count; ++i) values[i] = (float)(i + 1);
  int status = CALL(int, "setInput", (Env*, void*, int64_t, int, int, Array*, Array*))(env, NULL, handle, 0, 0, made(argc - 5, dims),
                                                                                       made(count * 4, values));
  if (!status) status = CALL(int, "run", (Env*, void*, int64_t))(env, NULL, handle);
  if (status) {
    const Array* said = CALL(Array*, "error", (Env*, void*, int64_t))(env, NULL, handle);
    return printf("status %d: %.*s\n", status, (int)said->n, (const char*)said->data), 3;
  }
  const Array* found = CALL(Array*, "output", (Env*, void*, int64_t, int))(env, NULL, handle, 0);
  printf("run:");
  for (int64_t i = 0; i < found->n / 4; ++i) printf(" %d", ((const int32_t*)found->data)[i]);
  printf("\n");
  CALL(void, "close", (Env*, void*, int64_t))(env, NULL, handle);
  return 0;
}
