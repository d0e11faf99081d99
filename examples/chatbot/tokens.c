/* Tokens that follow others, the likeliest each time, from the bundle of a decoder (decoder.py).
 *
 *   cc tokens.c -I BUNDLE/include -L BUNDLE/lib -ledgeort -Wl,-rpath,'$ORIGIN/BUNDLE/lib' -o tokens
 *   ./tokens BUNDLE COUNT TOKEN...
 *
 * The runtime keeps keys and values: each past_key_values input goes on from the present output of its place, with room for
 * CAPACITY tokens. */
#include <stdio.h>
#include <stdlib.h>

#include "edgeort.h"

enum { CAPACITY = 1024 };

static int fail(const char* reason) { return fprintf(stderr, "%s\n", reason), 1; }

/* Binds input i to the output of the same order: logits are output 0, the token ids input 0. */
static int bind_states(edgeort_model* model) {
  for (int i = 1; i < edgeort_input_count(model); ++i) {
    if (edgeort_bind_state(model, i, i, CAPACITY)) return 1;
  }
  return 0;
}

/* Reads `count` tokens; the likeliest one after them, or -1. */
static int64_t next(edgeort_model* model, int64_t* tokens, int count) {
  edgeort_tensor ids, logits;
  edgeort_input(model, 0, &ids);
  ids.dims[0] = 1;
  ids.dims[1] = count;
  ids.data = tokens;
  ids.bytes = 0;
  if (edgeort_set_input(model, 0, &ids) || edgeort_run(model)) return -1;
  edgeort_output(model, 0, &logits);
  const float* values = (const float*)logits.data;
  int64_t best = 0;
  for (int64_t i = 1; i < logits.dims[2]; ++i) best = values[i] > values[best] ? i : best;
  return best;
}

int main(int argc, char** argv) {
  char path[4096], error[EDGEORT_ERROR_BYTES];
  int64_t tokens[CAPACITY];
  const int given = argc - 3;
  if (given < 1 || given > CAPACITY) return fail("tokens BUNDLE COUNT TOKEN...");
  snprintf(path, sizeof(path), "%s/model.plan", argv[1]);
  for (int i = 0; i < given; ++i) tokens[i] = strtoll(argv[i + 3], NULL, 10);
  edgeort_model* model = edgeort_open(path, NULL, error);
  if (!model) return fail(error);
  int64_t token = bind_states(model) ? -1 : next(model, tokens, given);
  for (int i = 0; i < atoi(argv[2]) && token >= 0; ++i) {
    printf("%lld\n", (long long)token);
    tokens[0] = token; /* read in place by the run */
    token = next(model, tokens, 1);
  }
  const int failed = token < 0 && fail(edgeort_last_error(model));
  edgeort_close(model);
  return failed;
}
