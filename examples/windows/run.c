/* Runs a plan on Windows: an input a file of raw bytes, in the order of the model; prints the values of each output.
 *
 *   cmake -B build -DCMAKE_PREFIX_PATH=BUNDLE && cmake --build build
 *   build\run BUNDLE\model.plan input0.bin
 *
 * edgeort_open takes UTF-8, so that any path will do: the arguments are read as UTF-16 and converted. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <windows.h>
/* (after windows.h) */
#include <shellapi.h>

#include "edgeort.h"

static int fail(const char* what) {
  fprintf(stderr, "%s\n", what);
  return 1;
}

/* The content of a file, aligned as malloc does; NULL where it cannot be read, or has 2 GiB or more. */
static void* read_file(const wchar_t* path, size_t* bytes) {
  FILE* file = _wfopen(path, L"rb");
  if (!file) return NULL;
  fseek(file, 0, SEEK_END);
  const long long size = _ftelli64(file); /* a long has 32 bits here */
  rewind(file);
  void* data = size < 0 || size > LONG_MAX ? NULL : malloc((size_t)size + 1);
  *bytes = (size_t)size;
  if (data && fread(data, 1, *bytes, file) != *bytes) free(data), data = NULL;
  fclose(file);
  return data;
}

/* Free dimensions are 1. */
static int set_input(edgeort_model* model, int index, const wchar_t* path) {
  edgeort_tensor x;
  if (edgeort_input(model, index, &x)) return fail("the model has fewer inputs");
  for (int i = 0; i < x.rank; ++i) x.dims[i] = x.dims[i] < 0 ? 1 : x.dims[i];
  x.data = read_file(path, &x.bytes);
  if (!x.data) return fail("an input's file cannot be read");
  return edgeort_set_input(model, index, &x) ? fail(edgeort_last_error(model)) : 0;
}

static void print_output(const edgeort_model* model, int index) {
  edgeort_tensor y;
  edgeort_output(model, index, &y);
  printf("%s", y.name);
  for (size_t i = 0; y.dtype == EDGEORT_F32 && i < y.bytes / sizeof(float); ++i) printf(" %.9g", ((const float*)y.data)[i]);
  printf("\n");
}

int main(void) {
  int argc;
  wchar_t** argv = CommandLineToArgvW(GetCommandLineW(), &argc);
  char path[4096], error[EDGEORT_ERROR_BYTES];
  if (!argv || argc < 2) return fail("run MODEL.plan INPUT.bin...");
  if (!WideCharToMultiByte(CP_UTF8, 0, argv[1], -1, path, sizeof path, NULL, NULL)) return fail("the path is too long");
  edgeort_model* model = edgeort_open(path, NULL, error);
  if (!model) return fail(error);
  for (int i = 0; i + 2 < argc; ++i) {
    if (set_input(model, i, argv[i + 2])) return 1;
  }
  if (edgeort_run(model)) return fail(edgeort_last_error(model));
  for (int i = 0; i < edgeort_output_count(model); ++i) print_output(model, i);
  edgeort_close(model); /* inputs belong to the caller, and end with the program */
  LocalFree(argv);
  return 0;
}
