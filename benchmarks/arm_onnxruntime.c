/* Runs a model in ONNX Runtime on Arm, N times on one thread: arm_onnxruntime LIBRARY MODEL N INPUT OUTPUT 1x3x224x224
 *
 * For counting what a peer executes, with the same plugin as edgeort's harness. ONNX Runtime's wheels hold the library but
 * not its header: what is used of its C interface is declared here, by the places in its table of functions, which never
 * change (a new version adds at the end).
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef void* Handle;
struct ApiBase {
  const void** (*api)(uint32_t version);
};
enum { kErrorMessage = 2, kEnv = 3, kSession = 7, kRun = 9, kOptions = 10, kIntraOpThreads = 24, kTensor = 49, kCpuMemory = 69 };

static const void** api;

static void check(Handle status) {
  if (!status) return;
  fprintf(stderr, "arm_onnxruntime: %s\n", ((const char* (*)(Handle))api[kErrorMessage])(status));
  exit(2);
}

static size_t parse_shape(const char* text, int64_t dims[8]) {
  size_t rank = 0;
  for (char* end = NULL; rank < 8; text = end + 1) {
    dims[rank++] = strtoll(text, &end, 10);
    if (*end != 'x') break;
  }
  return rank;
}

static Handle make_input(const char* shape) {
  int64_t dims[8];
  const size_t rank = parse_shape(shape, dims);
  size_t n = 1;
  for (size_t i = 0; i < rank; ++i) n *= (size_t)dims[i];
  float* data = malloc(n * sizeof(float));
  if (!data) exit(2);
  for (size_t i = 0; i < n; ++i) data[i] = (float)((uint32_t)i * 2654435761u >> 16) / 32768.0f - 1.0f;
  Handle memory, tensor;
  check(((Handle (*)(int, int, Handle*))api[kCpuMemory])(0, 0, &memory));
  check(((Handle (*)(Handle, void*, size_t, const int64_t*, size_t, int, Handle*))api[kTensor])(memory, data, n * sizeof(float), dims, rank,
                                                                                                1, &tensor));
  return tensor;
}

int main(int argc, char** argv) {
  if (argc != 7) return 2;
  void* library = dlopen(argv[1], RTLD_NOW);
  if (!library) return fprintf(stderr, "arm_onnxruntime: %s\n", dlerror()), 2;
  const struct ApiBase* base = ((const struct ApiBase* (*)(void))dlsym(library, "OrtGetApiBase"))();
  api = base->api(17);
  Handle env, options, session, output = NULL;
  check(((Handle (*)(int, const char*, Handle*))api[kEnv])(3, "edgeort", &env));
  check(((Handle (*)(Handle*))api[kOptions])(&options));
  check(((Handle (*)(Handle, int))api[kIntraOpThreads])(options, 1));
  check(((Handle (*)(Handle, const char*, Handle, Handle*))api[kSession])(env, argv[2], options, &session));
  const Handle input = make_input(argv[6]);
  const char *const inputs[] = {argv[4]}, *const outputs[] = {argv[5]};
  for (int i = atoi(argv[3]); i > 0; --i) {
    check(((Handle (*)(Handle, Handle, const char* const*, const Handle*, size_t, const char* const*, size_t, Handle*))api[kRun])(
        session, NULL, inputs, &input, 1, outputs, 1, &output));
  }
  fflush(stdout);
  _Exit(0); /* the library's own threads may be asleep for good under the emulator */
}
