#include "state.h"

#include "model.h"

namespace edgeort {
namespace {

const char* name_of(const Model& m, i32 tensor) { return m.plan.strings + m.plan.tensors[tensor].name; }

i64& rows_of(Tensor& t) { return t.dims[t.rank - 2]; }

// Fails unless the two may be one, with `capacity` rows.
Status check(Model& m, i32 input, i32 output, i64 capacity) {
  const Tensor& t = m.tensors[input].tensor;
  const char* name = name_of(m, input);
  const i32 producer = m.tensors[output].producer;
  const bool grows = producer >= 0 && m.nodes[producer].op->grows && m.input(static_cast<u32>(producer), 0) == input;
  if (!grows) return m.invalid("output \"%s\" is not input \"%s\" with more rows behind it", name_of(m, output), name);
  if (t.rank < 2) return m.invalid("input \"%s\" has no rows", name);
  for (u32 i = 0; i < m.n_states; ++i) {
    if (m.states[i].input == input || m.states[i].output == output) return m.invalid("input \"%s\" is a state already", name);
  }
  for (int d = 0; d < t.rank; ++d) {
    if (d != t.rank - 2 && t.dims[d] < 0)
      return m.invalid("input \"%s\" has a free dimension (%d) beside its rows: set its shape first", name, d);
  }
  i64 least, most;
  m.plan.bounds_of(m.plan.tensors[input], t.rank - 2, &least, &most);
  if (least > 0) return m.invalid("input \"%s\" cannot be empty", name);
  if (points(m.tensors[input].tensor.dtype)) return m.invalid("input \"%s\" points at data that no state can keep", name);
  if (capacity < 1 || capacity > most) return m.invalid("input \"%s\" has no room for %lld rows", name, (long long)capacity);
  return Status::ok;
}

// Zeroed memory. Its matrices lie far apart: in small pages, each would cost a walk of the page table.
void* take(Model& m, u64 size) {
  if (size > ~size_t{0} / 4) return nullptr;
  if (size < kLargePage) return m.memory.take(static_cast<size_t>(size));
  auto* data = static_cast<u8*>(m.memory.take(static_cast<size_t>(size) + kLargePage));
  if (!data) return nullptr;
  data += (kLargePage - reinterpret_cast<uintptr_t>(data) % kLargePage) % kLargePage;
  prefer_large_pages(data, static_cast<size_t>(size));
  return data;
}

}  // namespace

Status bind_state(Model& m, int input_index, int output_index, i64 capacity) {
  if (input_index < 0 || input_index >= static_cast<int>(m.plan.n_inputs)) return m.invalid("there is no input %d", input_index);
  if (output_index < 0 || output_index >= static_cast<int>(m.plan.n_outputs)) return m.invalid("there is no output %d", output_index);
  const i32 input = m.plan.inputs[input_index], output = m.plan.outputs[output_index];
  EDGEORT_TRY(check(m, input, output, capacity));
  if (!m.states) m.states = static_cast<State*>(m.memory.take(m.plan.n_inputs * sizeof(State)));
  Tensor t = m.tensors[input].tensor;
  rows_of(t) = capacity;
  u64 size = size_of(t.dtype);
  for (int d = 0; d < t.rank; ++d) {
    if (__builtin_mul_overflow(size, static_cast<u64>(t.dims[d]), &size)) size = ~u64{0};
  }
  void* data = size / size_of(t.dtype) < kMostElements ? take(m, size) : nullptr;
  if (!m.states || !data) return m.out_of_memory("out of memory for %lld rows of input \"%s\"", (long long)capacity, name_of(m, input));
  rows_of(t) = 0;
  t.capacity = capacity;
  t.data = data;
  m.tensors[input].tensor = t;
  m.tensors[output].grows_from = input;
  m.states[m.n_states++] = {input, output, capacity, data, size};
  if (m.n_segments) m.segments[0].updatable = false;
  m.prepared = false;
  return Status::ok;
}

Status rewind_states(Model& m, i64 rows) {
  for (u32 i = 0; i < m.n_states; ++i) {
    const i64 held = rows_of(m.tensors[m.states[i].input].tensor);
    if (rows < 0 || rows > held) {
      return m.invalid("input \"%s\" has %lld rows; it cannot keep %lld", name_of(m, m.states[i].input), (long long)held, (long long)rows);
    }
  }
  for (u32 i = 0; i < m.n_states; ++i) {
    i64& held = rows_of(m.tensors[m.states[i].input].tensor);
    if (held != rows) m.change(m.states[i].input);
    held = rows;
  }
  return Status::ok;
}

void advance_states(Model& m) {
  for (u32 i = 0; i < m.n_states; ++i) {
    const State& state = m.states[i];
    i64& held = rows_of(m.tensors[state.input].tensor);
    const i64 rows = rows_of(m.tensors[state.output].tensor);
    if (held != rows) m.change(state.input);
    held = rows;
  }
}

bool is_state(const Model& m, i32 input) {
  for (u32 i = 0; i < m.n_states; ++i) {
    if (m.states[i].input == input) return true;
  }
  return false;
}

}  // namespace edgeort
