/* How near sentences are to the first one, on the device, from the bundle that text_embedding.py builds.
 *
 *   cc text_embedding.c -I BUNDLE/include -L BUNDLE/lib -ledgeort -Wl,-rpath,BUNDLE/lib -o text_embedding
 *   ./text_embedding BUNDLE "A man is eating food." "A man is eating a piece of bread."
 */
#include <stdio.h>
#include <string.h>

#include "edgeort.h"
#include "edgeort_text.h"

enum { kLength = 256, kWidth = 384 };

static int fail(const char* what) {
  fprintf(stderr, "%s\n", what);
  return 1;
}

/* Tokenises and runs; the vector stays the model's until the next run. */
static const float* embed(edgeort_model* model, const edgeort_wordpiece* words, const char* sentence) {
  int64_t ids[kLength], mask[kLength];
  int n = edgeort_wordpiece_encode(words, sentence, strlen(sentence), ids, kLength);
  for (int i = 0; i < n; ++i) mask[i] = 1;
  for (int i = 0; i < edgeort_input_count(model); ++i) {
    edgeort_tensor input;
    edgeort_input(model, i, &input);
    input.data = strcmp(input.name, "input_ids") ? mask : ids;
    input.dims[0] = 1;
    input.dims[1] = n;
    if (edgeort_set_input(model, i, &input)) return NULL;
  }
  if (edgeort_run(model)) return NULL;
  edgeort_tensor output;
  edgeort_output(model, 0, &output);
  return output.data;
}

int main(int argc, char** argv) {
  char path[1024], error[EDGEORT_ERROR_BYTES];
  if (argc < 3) return fail("text_embedding BUNDLE SENTENCE...");
  snprintf(path, sizeof path, "%s/model.plan", argv[1]);
  edgeort_model* model = edgeort_open(path, NULL, error);
  if (!model) return fail(error);
  snprintf(path, sizeof path, "%s/tokenizer/vocab.txt", argv[1]);
  edgeort_wordpiece* words = edgeort_wordpiece_open(path, 0, error);
  if (!words) return fail(error);

  float first[kWidth];
  for (int i = 2; i < argc; ++i) {
    const float* vector = embed(model, words, argv[i]);
    if (!vector) return fail(edgeort_last_error(model));
    if (i == 2) memcpy(first, vector, sizeof first);
    float cosine = 0;
    for (int k = 0; k < kWidth; ++k) cosine += first[k] * vector[k];
    printf("%.3f  %s\n", cosine, argv[i]);
  }
  edgeort_wordpiece_close(words);
  edgeort_close(model);
  return 0;
}
