// Runs recurrent operators: one direction after the other.
#include "sequence.h"

#include <string.h>

namespace edgeort {

const RnnKernels& CellRow::kernels() const { return *rnn->kernels; }
bool CellRow::flag() const { return rnn->params->flag != 0; }

void CellRow::activate(int which, f32* x, i64 count) const {
  const RnnParams& params = *rnn->params;
  const int slot = 3 * direction + which;
  rnn->kernels->activate[params.activation[slot]](x, count, params.alpha[slot], params.beta[slot]);
}

void CellRow::gate(int which, f32* x, i64 count) const {
  if (rnn->params->clip > 0.0f) rnn->kernels->clip(x, rnn->params->clip, count);
  activate(which, x, count);
}

namespace {

enum Input { kX, kW, kR, kB, kLengths, kInitialH, kInitialC, kP };

i64 padded(i64 n) { return ceil_div(n, kPanel) * kPanel; }

// Everything of one direction.
struct Direction {
  const Run& r;
  const Rnn& s;
  int direction;
  bool reverse;
  f32 *gates = nullptr, *state = nullptr, *h = nullptr, *cell = nullptr, *bias = nullptr, *state_bias = nullptr;
  Weights w = nullptr;
  Weights r_panels[kMaxGroups] = {nullptr, nullptr};
  i64 columns = 0;

  void prepare();
  void weights();
  void biases();
  void initial(int input, f32* to) const;
  void compressed_weights();
  void multiply(const Matrix& matrix, const f32* rows, i64 row_floats, const Weights& panels, const f32* with, f32* out) const;
  void step(i64 index) const;
  void row(i64 index, i64 b, int group) const;
  void final_state(int output, const f32* from) const;
  i64 length(i64 b) const;
  i64 read_steps() const;
  // Where batch entry b of a state tensor lies.
  i64 state_at(i64 b) const {
    const i64 directions = s.params->directions;
    return (s.params->layout ? b * directions + direction : direction * s.batch + b) * s.hidden;
  }
};

// Panels of the transpose of rows[n, k]: element (k, n) is rows[n * k_count + k].
f32* pack(const f32* rows, i64 n_count, i64 k_count, f32* out) {
  for (i64 n = 0; n < padded(n_count); ++n) {
    f32* panel = out + n / kPanel * k_count * kPanel + n % kPanel;
    for (i64 k = 0; k < k_count; ++k) panel[k * kPanel] = n < n_count ? rows[n * k_count + k] : 0.0f;
  }
  return out + padded(n_count) * k_count;
}

void Direction::compressed_weights() {
  w = s.input.weights(r, direction * padded(columns) / kPanel);
  i64 panels = 0, panel = 0;
  for (int g = 0; g < s.cell->groups; ++g) panels += padded(s.cell->gates[g] * s.hidden) / kPanel;
  f32* wide = static_cast<f32*>(r.scratch()) + s.at_r;
  if (s.widened.kernels) s.widened.widen(s.widened.weights(r, direction * panels), 0, panels * kPanel, wide);
  for (int g = 0; g < s.cell->groups; ++g) {
    r_panels[g] = s.widened.kernels ? Weights(wide + panel * kPanel * s.hidden) : s.recurrent[g].weights(r, direction * panels + panel);
    panel += padded(s.cell->gates[g] * s.hidden) / kPanel;
  }
}

void Direction::weights() {
  if (s.input.compression.kernels) return compressed_weights();
  const f32* w_in = r.in(kW).as<const f32>();
  const f32* r_in = r.in(kR).as<const f32>();
  const bool packed = s.params->packed;
  f32* scratch = static_cast<f32*>(r.scratch());
  w = packed ? w_in + direction * padded(columns) * s.inputs : scratch + s.at_w;
  if (!packed) pack(w_in + direction * columns * s.inputs, columns, s.inputs, scratch + s.at_w);
  i64 r_floats = 0;
  for (int g = 0; g < s.cell->groups; ++g) r_floats += padded(s.cell->gates[g] * s.hidden) * s.hidden;
  const f32* at = packed ? r_in + direction * r_floats : scratch + s.at_r;
  f32* to = scratch + s.at_r;
  const f32* from = r_in + direction * columns * s.hidden;
  for (int g = 0; g < s.cell->groups; ++g) {
    const i64 n = s.cell->gates[g] * s.hidden;
    r_panels[g] = at;
    at += padded(n) * s.hidden;
    if (!packed) {
      to = pack(from, n, s.hidden, to);
      from += n * s.hidden;
    }
  }
}

// The sum of both biases goes with the input's part, but for the last gate of a second group: with linear_before_reset, that
// gate's second bias belongs to the state's part.
void Direction::biases() {
  memset(bias, 0, static_cast<size_t>(padded(columns) + padded(s.hidden)) * sizeof(f32));
  if (!r.has(kB)) return;
  const f32* b = r.in(kB).as<const f32>() + direction * 2 * columns;
  const i64 apart = s.cell->groups == 2 && s.params->flag ? columns - s.hidden : columns;
  for (i64 i = 0; i < columns; ++i) bias[i] = (i < apart ? b[i] + b[columns + i] : b[i]) + 0.0f;
  for (i64 i = apart; i < columns; ++i) state_bias[i - apart] = b[columns + i] + 0.0f;
}

void Direction::initial(int input, f32* to) const {
  for (i64 b = 0; b < s.batch; ++b) {
    if (r.has(input)) {
      memcpy(to + b * s.hidden, r.in(input).as<const f32>() + state_at(b), static_cast<size_t>(s.hidden) * sizeof(f32));
    } else {
      memset(to + b * s.hidden, 0, static_cast<size_t>(s.hidden) * sizeof(f32));
    }
  }
}

void Direction::prepare() {
  f32* scratch = static_cast<f32*>(r.scratch());
  columns = s.gates * s.hidden;
  gates = scratch + s.at_gates;
  state = scratch + s.at_state;
  h = scratch + s.at_h;
  cell = scratch + s.at_cell;
  bias = scratch + s.at_bias;
  state_bias = scratch + s.at_state_bias;
  biases();
  initial(kInitialH, h);
  initial(kInitialC, cell);
  const f32* x = r.in(kX).as<const f32>();
  if (s.integers) return s.integers(r, s, direction, kOfInput, x, read_steps() * s.batch, bias, gates);
  weights();
  multiply(s.input, x, s.inputs, w, bias, gates);
}

void Direction::multiply(const Matrix& matrix, const f32* rows, i64 row_floats, const Weights& panels, const f32* with, f32* out) const {
  const auto fill = [&](i64 first, Matrix::Rows* block) {
    block->taps = 1;
    block->kc = row_floats;
    block->offsets[0] = 0;
    for (int m = 0; m < block->rows; ++m) block->pointers[m] = rows + (first + m) * row_floats;
  };
  // A step may be so short that even asking for threads counts.
  if (matrix.tasks() == 1) return matrix.range(r, panels, with, out, matrix.n, 0, 0, matrix.part(0), r.thread_scratch(0), fill);
  matrix.multiply(r, panels, with, out, matrix.n, 0, 0, fill);
}

// Steps of X that some sequence has; batch entries first, they lie apart.
i64 Direction::read_steps() const {
  i64 most = s.params->layout ? s.steps : 0;
  for (i64 b = 0; b < s.batch; ++b) most = max_of(most, length(b));
  return most;
}

i64 Direction::length(i64 b) const { return r.has(kLengths) ? max_of(0, min_of(s.steps, r.in(kLengths).as<const i32>()[b])) : s.steps; }

// Step `index` of batch entry b: group `group` of its gates.
void Direction::row(i64 index, i64 b, int group) const {
  if (index >= length(b)) return;
  const i64 t = reverse ? length(b) - 1 - index : index;
  const i64 at = s.params->layout ? b * s.steps + t : t * s.batch + b;
  const f32* peephole = r.has(kP) ? r.in(kP).as<const f32>() + direction * 3 * s.hidden : nullptr;
  f32* now = h + b * s.hidden;
  s.cell->row[group](
      {&s, direction, gates + at * columns, state + b * s.cell->gates[group] * s.hidden, now, cell + b * s.hidden, peephole, s.hidden});
  if (group < s.cell->groups - 1 || !r.wants(0)) return;
  const i64 directions = s.params->directions;
  const i64 y = s.params->layout ? at * directions + direction : (t * directions + direction) * s.batch + b;
  memcpy(r.out(0).as<f32>() + y * s.hidden, now, static_cast<size_t>(s.hidden) * sizeof(f32));
}

void Direction::step(i64 index) const {
  for (int g = 0; g < s.cell->groups; ++g) {
    const bool second = g > 0;
    const f32* from = second && !s.params->flag ? cell : h;
    const f32* with = second ? state_bias : nullptr;
    if (s.integers) {
      s.integers(r, s, direction, g, from, s.batch, with, state);
    } else {
      multiply(s.recurrent[g], from, s.hidden, r_panels[g], with, state);
    }
    const auto rows = [&](i64 begin, i64 end, int) {
      for (i64 b = begin; b < end; ++b) row(index, b, g);
    };
    const i64 grain = max_of(1, 8192 / s.hidden);
    if (s.batch <= grain) {
      rows(0, s.batch, 0);
    } else {
      r.ranges(s.batch, grain, rows);
    }
  }
}

void Direction::final_state(int output, const f32* from) const {
  if (!r.wants(output)) return;
  for (i64 b = 0; b < s.batch; ++b) {
    memcpy(r.out(output).as<f32>() + state_at(b), from + b * s.hidden, static_cast<size_t>(s.hidden) * sizeof(f32));
  }
}

}  // namespace

void run_rnn(Run& r) {
  const Rnn& s = r.state<Rnn>();
  if (s.batch == 0) return;
  // What lies behind the end of a sequence is zero.
  if (r.wants(0) && r.has(kLengths)) memset(r.out(0).data, 0, bytes(r.out(0)));
  for (int d = 0; d < static_cast<int>(s.params->directions); ++d) {
    Direction direction = {r, s, d, d == 1 || s.params->reverse != 0};
    direction.prepare();
    for (i64 i = 0; i < s.steps; ++i) direction.step(i);
    direction.final_state(1, direction.h);
    direction.final_state(2, direction.cell);
  }
}

}  // namespace edgeort
