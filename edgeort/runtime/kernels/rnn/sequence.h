// What LSTM, GRU and RNN share: the input's part of all gates as one product over all steps, the state's part step by step.
//
// Inputs X, W, R, B, sequence_lens, initial_h, initial_c, P; outputs Y, Y_h, Y_c. A cell is its gates, cut into groups: each
// group is one product with the state (or with what the cell made of it), then the cell's function for each batch entry.
// Compressed weights (gemm/compressed.h) have scales and zero points behind those inputs: of W, then of R.
#pragma once
#include "../gemm/matrix.h"
#include "rnn.h"

namespace edgeort {

static constexpr int kMaxGroups = 2;
static constexpr CompressedInputs kCompressedW = {1, 8}, kCompressedR = {2, 10};

struct Rnn;

// One batch entry of one step: n = hidden values each.
struct CellRow {
  const Rnn* rnn;
  int direction;
  f32* gates;           // the input's part with the biases, [gates, n]; may be overwritten
  const f32* state;     // the state's part of this group's gates
  f32* h;               // the state, and what it becomes
  f32* cell;            // LSTM: the cell state; GRU: what the second product reads in place of h
  const f32* peephole;  // [3, n], or null
  i64 n;

  // The activation function `which` of the direction over `count` values.
  void activate(int which, f32* x, i64 count) const;
  // The same for values of gates, which are clipped first.
  void gate(int which, f32* x, i64 count) const;
  const RnnKernels& kernels() const;
  bool flag() const;
};

struct Cell {
  int groups;
  int gates[kMaxGroups];
  void (*row[kMaxGroups])(const CellRow&);
};

struct Rnn {
  const Cell* cell;
  const RnnKernels* kernels;
  const RnnParams* params;
  bool plain;  // the activations are ONNX's defaults, and nothing clips
  // Of the state's weights, which are widened once a run where steps are many and they are few: then `recurrent` has none.
  Compression widened;
  Matrix input, recurrent[kMaxGroups];
  i64 steps, batch, inputs, hidden, gates;
  // Offsets in the scratch, in floats: gates of all steps, state's part, h, cell, the biases, and panels packed at run time.
  i64 at_gates, at_state, at_h, at_cell, at_bias, at_state_bias, at_w, at_r;
  u64 scratch_bytes;  // whole vectors
  // Products of integers (kernels/qrnn), which then stand for all of float32; else null: out[rows, n] of so many rows by the input's
  // weights, or by those of a group of gates. offset: added to each column, whole panels, or null.
  void (*integers)(const Run& r, const Rnn& rnn, int direction, int group, const f32* x, i64 rows, const f32* offset, f32* out);
};

static constexpr int kOfInput = -1;  // in place of a group

extern const Cell kLstmCell, kGruCell, kRnnCell;

// rnn: with its products of integers, if those are what it has. compressed: the kernels of weights that are, or null.
Status prepare_rnn(Prepare& p, Rnn* rnn, const Cell& cell, const CompressedKernels* compressed);
void run_rnn(Run& r);

}  // namespace edgeort
