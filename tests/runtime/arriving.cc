// Opens a plan while it arrives, with no byte more than was asked for, and runs it the same way; bytes that have not come are poisoned.
// The outputs have the bits of the whole plan's, in that run and in the next. Usage: arriving PLAN ROWS, the size of free dimensions;
// prints how many bytes were there when it was opened, and when the first node could run, and how often the run waited.
#include "arriving.h"

#include <sanitizer/asan_interface.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vector>

namespace {

constexpr size_t kStep = 64;

using Bytes = std::vector<unsigned char>;

[[noreturn]] void stop(const char* what) {
  fprintf(stderr, "%s\n", what);
  exit(1);
}

unsigned char* aligned(size_t size) {
  void* data = nullptr;
  if (posix_memalign(&data, 64, size) != 0) stop("out of memory");
  return static_cast<unsigned char*>(data);
}

Bytes read_file(const char* path) {
  FILE* file = fopen(path, "rb");
  if (!file) stop("there is no such file");
  Bytes bytes;
  for (int c; (c = fgetc(file)) != EOF;) bytes.push_back(static_cast<unsigned char>(c));
  fclose(file);
  return bytes;
}

struct Arrival {
  const Bytes& whole;
  unsigned char* image;
  size_t here;

  void until(size_t bytes) {
    if (bytes <= here || bytes > whole.size()) stop("it asks for what is there, or will never be");
    __asan_unpoison_memory_region(image, bytes);
    memcpy(image + here, whole.data() + here, bytes - here);
    here = bytes;
  }
};

void set_inputs(edgeort_model* model, int64_t rows, std::vector<std::vector<float>>& data) {
  data.resize(static_cast<size_t>(edgeort_input_count(model)));
  for (size_t i = 0; i < data.size(); ++i) {
    edgeort_tensor x;
    if (edgeort_input(model, static_cast<int>(i), &x) || x.dtype != EDGEORT_F32) stop("its inputs are not of floats");
    size_t n = 1;
    for (int d = 0; d < x.rank; ++d) n *= static_cast<size_t>(x.dims[d] = x.dims[d] < 0 ? rows : x.dims[d]);
    data[i].resize(n);
    for (size_t k = 0; k < n; ++k) data[i][k] = static_cast<float>(k % 17) / 8 - 1;
    x.data = data[i].data();
    x.bytes = 0;
    if (edgeort_set_input(model, static_cast<int>(i), &x)) stop(edgeort_last_error(model));
  }
}

std::vector<Bytes> outputs(edgeort_model* model) {
  std::vector<Bytes> found;
  for (int i = 0; i < edgeort_output_count(model); ++i) {
    edgeort_tensor y;
    if (edgeort_output(model, i, &y)) stop("there is no output");
    const auto* data = static_cast<const unsigned char*>(y.data);
    found.emplace_back(data, data + y.bytes);
  }
  return found;
}

std::vector<Bytes> run(edgeort_model* model) {
  if (edgeort_run(model)) stop(edgeort_last_error(model));
  return outputs(model);
}

}  // namespace

int main(int, char** arguments) {
  const Bytes file = read_file(arguments[1]);
  const int64_t rows = atoll(arguments[2]);
  char error[EDGEORT_ERROR_BYTES];
  unsigned char* copy = aligned(file.size());
  memcpy(copy, file.data(), file.size());
  std::vector<std::vector<float>> data, others;
  edgeort_model* whole = edgeort_open_memory(copy, file.size(), nullptr, error);
  if (!whole) stop(error);
  set_inputs(whole, rows, others);
  const std::vector<Bytes> want = run(whole);

  Arrival arrival = {file, aligned(file.size()), 0};
  __asan_poison_memory_region(arrival.image, file.size());
  while (!edgeort_arriving_size(arrival.image, arrival.here)) arrival.until(arrival.here + kStep);
  if (edgeort_arriving_size(arrival.image, arrival.here) != file.size()) stop("it has another size");
  edgeort_model* model;
  for (size_t needed; !(model = edgeort_open_arriving(arrival.image, file.size(), arrival.here, nullptr, error, &needed));) {
    if (!needed) stop(error);
    arrival.until(needed);
  }
  printf("%zu ", arrival.here);
  set_inputs(model, rows, data);
  int waits = 0;
  size_t first = 0;
  for (size_t needed; (needed = edgeort_run_arriving(model, arrival.here)) != 0;) {
    if (needed > SIZE_MAX - 256) stop(edgeort_last_error(model));
    if (needed <= arrival.here) continue;
    arrival.until(needed);
    if (!waits++) first = needed;
  }
  printf("%zu %d\n", first, waits);
  if (arrival.here != file.size()) stop("the run ended before all had come");
  if (outputs(model) != want || run(model) != want) stop("its outputs are others than those of the whole plan");
  edgeort_close(model);
  edgeort_close(whole);
  free(arrival.image);
  free(copy);
  return 0;
}
