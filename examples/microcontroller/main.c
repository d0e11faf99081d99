/* Runs the model that lies in the library, in memory of its own, and prints what it answers: one line of hexadecimal words an output. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "edgeort_embedded.h"
#include "edgeort_memory.h"

static _Alignas(64) uint8_t memory[256 * 1024]; /* edgeort_memory_peak() says how much of it was needed */

/* The first input of the golden ones: see the Makefile. */
extern const uint8_t input[];

static int failed(const char* what, const char* reason) {
  printf("%s: %s\n", what, reason);
  return 1;
}

int main(void) {
  char error[EDGEORT_ERROR_BYTES];
  edgeort_use_memory(memory, sizeof(memory));
  edgeort_model* model = edgeort_open_embedded(NULL, error);
  if (!model) return failed("open", error);

  edgeort_tensor x;
  edgeort_input(model, 0, &x);
  for (int axis = 0; axis < x.rank; ++axis) {
    if (x.dims[axis] < 0) x.dims[axis] = 1;
  }
  x.data = (void*)input;
  x.bytes = 0;
  if (edgeort_set_input(model, 0, &x) || edgeort_run(model)) return failed("run", edgeort_last_error(model));

  for (int i = 0; i < edgeort_output_count(model); ++i) {
    edgeort_tensor y;
    edgeort_output(model, i, &y);
    for (size_t at = 0; at + 4 <= y.bytes; at += 4) {
      uint32_t word;
      memcpy(&word, (const uint8_t*)y.data + at, sizeof(word));
      printf("%08lx ", (unsigned long)word);
    }
    printf("\n");
  }
  printf("memory: %lu bytes\n", (unsigned long)edgeort_memory_peak());
  edgeort_close(model);
  return 0;
}
