// A model in memory that a firmware gives: what suffices for one shape does so after others, too. Usage: bare_shapes PLAN SIDE...
// The exit status says whether the last side runs behind the others in the least memory in which it runs alone.
#include <stdio.h>
#include <stdlib.h>

#include "edgeort.h"
#include "edgeort_memory.h"

namespace {

constexpr size_t kMost = size_t{1} << 20;
alignas(64) unsigned char memory[kMost], plan[kMost];
float values[kMost / sizeof(float)];

// Runs one model for these sides in turn, in so many bytes; whether the last run did.
bool run(size_t plan_bytes, size_t bytes, char** sides, int n) {
  char error[EDGEORT_ERROR_BYTES];
  edgeort_use_memory(memory, bytes);
  edgeort_model* model = edgeort_open_memory(plan, plan_bytes, nullptr, error);
  bool good = false;
  for (int i = 0; model && i < n; ++i) {
    edgeort_tensor x;
    edgeort_input(model, 0, &x);
    for (int d = 0; d < x.rank; ++d) x.dims[d] = x.dims[d] < 0 ? atoi(sides[i]) : x.dims[d];
    x.data = values;
    x.bytes = 0;
    good = !edgeort_set_input(model, 0, &x) && !edgeort_run(model);
  }
  edgeort_close(model);
  return good;
}

}  // namespace

int main(int, char** arguments) {
  FILE* file = fopen(arguments[1], "rb");
  const size_t plan_bytes = file ? fread(plan, 1, kMost, file) : 0;
  char** sides = arguments + 2;
  int n = 0;
  while (sides[n]) ++n;
  size_t least = 0;
  while (least < kMost && !run(plan_bytes, least, sides + n - 1, 1)) least += 64;
  printf("%zu bytes\n", least);
  return least < kMost && run(plan_bytes, least, sides, n) ? 0 : 1;
}
