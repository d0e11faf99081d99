// One plan in memory that nobody may write to, and on each of several threads a model of its own over it, all at once: every
// run of every model gives the bytes that the first one gave. Usage: shared_plan PLAN THREADS RUNS; the exit status says whether.
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edgeort.h"

namespace {

constexpr int kMostThreads = 16;
constexpr size_t kMostBytes = 1 << 16;
constexpr int kBatches[] = {1, 7, 3};

struct Bytes {
  size_t size;
  unsigned char data[kMostBytes];
};

const void* plan;
size_t plan_bytes;
int runs;
Bytes expected[sizeof(kBatches) / sizeof(*kBatches)];

bool say(const char* what) { return fprintf(stderr, "%s\n", what), false; }

// A batch of one input of floats, and the bytes of the first output.
bool run(edgeort_model* model, int batch, Bytes* out) {
  static thread_local float values[kMostBytes / sizeof(float)];
  edgeort_tensor x, y;
  if (edgeort_input(model, 0, &x)) return say("there is no input");
  x.dims[0] = batch;
  size_t n = 1;
  for (int i = 0; i < x.rank; ++i) n *= static_cast<size_t>(x.dims[i]);
  for (size_t i = 0; i < n; ++i) values[i] = static_cast<float>(i % 17) / 8 - 1;
  x.data = values;
  x.bytes = 0;
  if (edgeort_set_input(model, 0, &x) || edgeort_run(model) || edgeort_output(model, 0, &y)) return say(edgeort_last_error(model));
  out->size = y.bytes;
  memcpy(out->data, y.data, y.bytes);
  return y.bytes > 0;
}

edgeort_model* open_model(int threads) {
  char error[EDGEORT_ERROR_BYTES];
  edgeort_options options = {threads, 0, nullptr};
  edgeort_model* model = edgeort_open_memory(plan, plan_bytes, &options, error);
  if (!model) say(error);
  return model;
}

void* work(void* raw) {
  const long index = reinterpret_cast<long>(raw);
  for (int i = 0; i < runs; ++i) {
    edgeort_model* model = open_model(1 + static_cast<int>(index % 2));
    if (!model) return raw;
    for (size_t k = 0; k < sizeof(kBatches) / sizeof(*kBatches); ++k) {
      static thread_local Bytes got;
      if (!run(model, kBatches[k], &got)) return raw;
      if (got.size != expected[k].size || memcmp(got.data, expected[k].data, got.size)) return say("other bytes"), raw;
    }
    edgeort_close(model);
  }
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const int file = open(argv[1], O_RDONLY), threads = atoi(argv[2]);
  struct stat about;
  if (file < 0 || fstat(file, &about) || threads > kMostThreads) return 2;
  plan_bytes = static_cast<size_t>(about.st_size);
  plan = mmap(nullptr, plan_bytes, PROT_READ, MAP_PRIVATE, file, 0);
  runs = atoi(argv[3]);
  edgeort_model* model = open_model(1);
  if (!model) return 1;
  for (size_t k = 0; k < sizeof(kBatches) / sizeof(*kBatches); ++k) {
    if (!run(model, kBatches[k], &expected[k])) return 1;
  }
  pthread_t ids[kMostThreads];
  for (long i = 0; i < threads; ++i) {
    // Thread 0 fails nowhere: its number would be the same as "nothing went wrong".
    if (pthread_create(&ids[i], nullptr, work, reinterpret_cast<void*>(i + 1))) return 2;
  }
  bool good = true;
  for (int i = 0; i < threads; ++i) {
    void* failed;
    good &= pthread_join(ids[i], &failed) == 0 && !failed;
  }
  edgeort_close(model);
  return good ? 0 : 1;
}
