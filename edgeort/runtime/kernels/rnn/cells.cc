// The three cells (ONNX operators LSTM, GRU, RNN; NUMERICS.md for the order of operations).
#include "sequence.h"

namespace edgeort {
namespace {

// Gates i, o, f, c. ONNX has the clip applied to what activations read; ONNX Runtime, like this, leaves out the cell state.
void lstm(const CellRow& c) {
  const RnnKernels& k = c.kernels();
  const i64 n = c.n;
  if (c.rnn->plain && !c.peephole && !c.flag()) return k.lstm(c.h, c.cell, c.gates, c.state, n);
  f32 *i = c.gates, *o = i + n, *f = o + n, *g = f + n;
  k.add(i, c.state, 4 * n);
  if (c.peephole) {
    k.fma(i, c.peephole, c.cell, i, n);
    k.fma(f, c.peephole + 2 * n, c.cell, f, n);
  }
  c.gate(0, i, n);
  if (c.flag()) {
    k.complement(f, i, n);
  } else {
    c.gate(0, f, n);
  }
  c.gate(1, g, n);
  k.mul(i, i, g, n);
  k.fma(c.cell, f, c.cell, i, n);
  if (c.peephole) k.fma(o, c.peephole + n, c.cell, o, n);
  c.gate(0, o, n);
  __builtin_memcpy(g, c.cell, static_cast<size_t>(n) * sizeof(f32));
  c.activate(2, g, n);
  k.mul(c.h, o, g, n);
}

// Gates z, r, h; first z and r, and r * h for the second product unless it is linear_before_reset.
void gru_gates(const CellRow& c) {
  if (c.rnn->plain && c.flag()) return c.kernels().gru_gates(c.gates, c.state, 2 * c.n);
  c.kernels().add(c.gates, c.state, 2 * c.n);
  c.gate(0, c.gates, 2 * c.n);
  if (!c.flag()) c.kernels().mul(c.cell, c.gates + c.n, c.h, c.n);
}

void gru_state(const CellRow& c) {
  const RnnKernels& k = c.kernels();
  const i64 n = c.n;
  if (c.rnn->plain && c.flag()) return k.gru_state(c.h, c.gates, c.state, n);
  f32 *z = c.gates, *r = z + n, *h = r + n;
  if (c.flag()) {
    k.mul(r, r, c.state, n);
    k.add(h, r, n);
  } else {
    k.add(h, c.state, n);
  }
  c.gate(1, h, n);
  k.complement(r, z, n);
  k.mul(h, r, h, n);
  k.fma(c.h, z, c.h, h, n);
}

void rnn(const CellRow& c) {
  c.kernels().add(c.gates, c.state, c.n);
  c.gate(0, c.gates, c.n);
  __builtin_memcpy(c.h, c.gates, static_cast<size_t>(c.n) * sizeof(f32));
}

template <const Cell& cell>
Status prepare(Prepare& p) {
  return prepare_rnn(p, p.state<Rnn>(), cell, nullptr);
}

}  // namespace

const Cell kLstmCell = {1, {4}, {lstm}};
const Cell kGruCell = {2, {2, 1}, {gru_gates, gru_state}};
const Cell kRnnCell = {1, {1}, {rnn}};

extern const OpDef kLSTM, kGRU, kRNN;
const OpDef kLSTM = {"LSTM", sizeof(RnnParams), prepare<kLstmCell>, run_rnn};
const OpDef kGRU = {"GRU", sizeof(RnnParams), prepare<kGruCell>, run_rnn};
const OpDef kRNN = {"RNN", sizeof(RnnParams), prepare<kRnnCell>, run_rnn};

}  // namespace edgeort
