// The functions of recurrent cells, over n contiguous values.
#pragma once
#include "../../core/dispatch.h"

namespace edgeort {

// In the order of lowering/rnn.py, ACTIVATIONS.
static constexpr u32 kActivations = 11;

struct RnnKernels {
  void (*add)(f32* x, const f32* y, i64 n);                                // x + y
  void (*mul)(f32* out, const f32* x, const f32* y, i64 n);                // x * y
  void (*fma)(f32* out, const f32* a, const f32* b, const f32* c, i64 n);  // fma(a, b, c)
  void (*complement)(f32* out, const f32* x, i64 n);                       // 1 - x
  void (*clip)(f32* x, f32 limit, i64 n);                                  // to [-limit, limit]
  void (*activate[kActivations])(f32* x, i64 n, f32 alpha, f32 beta);
  // Whole cells whose activations are ONNX's defaults, and that neither clip nor have peepholes: the same operations at once. `gates`
  // and `state` are the parts of gates i, o, f, c (LSTM) or z, r, h (GRU, with linear_before_reset), n values each.
  void (*lstm)(f32* h, f32* cell, const f32* gates, const f32* state, i64 n);
  void (*gru_gates)(f32* gates, const f32* state, i64 count);  // sigmoid(gates + state)
  void (*gru_state)(f32* h, const f32* gates, const f32* state, i64 n);
};

}  // namespace edgeort
