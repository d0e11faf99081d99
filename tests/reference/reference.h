// The numeric contract (edgeort/runtime/NUMERICS.md) in plain scalar C99: slow, without vectors, and written apart from
// the runtime. Build with -ffp-contract=off. Tensors are float32, row-major; images NHWC; weights in ONNX layout.
#ifndef EDGEORT_REFERENCE_H
#define EDGEORT_REFERENCE_H

#include <math.h>
#include <stdint.h>
#include <string.h>

float ref_exp(float x);
float ref_log(float x);

static inline uint32_t bits_of(float x) {
  uint32_t b;
  memcpy(&b, &x, 4);
  return b;
}
static inline float float_of(uint32_t b) {
  float x;
  memcpy(&x, &b, 4);
  return x;
}
static inline float max_nan(float a, float b) { return isnan(b) ? b : a < b ? b : a; }
static inline float min_nan(float a, float b) { return isnan(b) ? b : b < a ? b : a; }

#endif
