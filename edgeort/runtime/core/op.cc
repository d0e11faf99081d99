// The two views of a node that operators are given.
#include "op.h"

#include <stdarg.h>
#include <stdio.h>

#include "body.h"
#include "model.h"

namespace edgeort {

namespace {

// Sizes are computed in 64 bits everywhere; one that this machine cannot address fails when it is allocated.
size_t addressable(u64 size) { return size > ~size_t{0} / 2 ? ~size_t{0} / 2 : static_cast<size_t>(size); }

}  // namespace

int Prepare::inputs() const { return model_.record(node_).inputs; }
int Prepare::outputs() const { return model_.record(node_).outputs; }
bool Prepare::has(int i) const { return model_.input(node_, i) >= 0; }
bool Prepare::wants(int i) const { return model_.output(node_, i) >= 0; }
const Tensor& Prepare::in(int i) const { return model_.tensor_in(node_, i); }
const Tensor& Prepare::out(int i) const { return model_.tensor_out(node_, i); }

const void* Prepare::value(int i) const {
  const void* data = address(i);
  return !data || model_.plan.has(data, bytes(in(i))) ? data : nullptr;
}

const void* Prepare::address(int i) const {
  const i32 index = model_.input(node_, i);
  if (index < 0) return nullptr;
  const TensorState& t = model_.tensors[index];
  if (t.value_known) return t.tensor.data;
  // While running, inputs (whose producer is -1) and everything before this segment have been computed.
  if (!model_.running || t.producer >= static_cast<i32>(model_.current->begin)) return nullptr;
  return t.tensor.data || count(t.tensor) > 0 ? t.tensor.data : &t;  // an empty input may come without data
}

const void* Prepare::raw_params() const { return model_.plan.params + model_.record(node_).params; }
size_t Prepare::trailing(size_t struct_bytes) const { return model_.record(node_).params_bytes - struct_bytes; }

Status Prepare::set(int output, DType dtype, const i64* dims, int rank) {
  if (!wants(output)) return Status::ok;
  if (rank < 0 || rank > kMaxRank) return fail("output %d would have rank %d; the limit is %d", output, rank, kMaxRank);
  TensorState& state = model_.tensors[model_.output(node_, output)];
  state.shaped = true;
  Tensor& t = state.tensor;
  t.dtype = dtype;
  t.rank = static_cast<u8>(rank);
  u64 elements = 1;
  for (int i = 0; i < rank; ++i) {
    t.dims[i] = dims[i];
    if (dims[i] < 0) return fail("dimension %d of output %d would be %lld", i, output, static_cast<long long>(dims[i]));
    if (__builtin_mul_overflow(elements, static_cast<u64>(max_of(dims[i], 1)), &elements) || elements > kMostElements)
      return fail("output %d would be too large", output);
  }
  if (elements * size_of(dtype) > (size_t{0} - 1) / 4) return fail("output %d would be too large", output);
  return Status::ok;
}

void* Prepare::known(int output) {
  if (!wants(output)) return nullptr;
  TensorState& t = model_.tensors[model_.output(node_, output)];
  t.tensor.data = model_.current->memory.take(bytes(t.tensor));
  t.value_known = t.tensor.data != nullptr;
  return t.tensor.data;
}

void* Prepare::state(u64 size) { return model_.nodes[node_].state = keep(size); }
void* Prepare::lasting_memory(u64 size) { return model_.memory.take(addressable(size)); }
void*& Prepare::lasting() { return model_.nodes[node_].lasting; }
bool Prepare::keeps(const void* data) const { return model_.current->memory.holds(data); }
Pages& Prepare::pages() const { return model_.pages; }
void* Prepare::keep(u64 size) { return model_.current->memory.take(addressable(size)); }
void Prepare::scratch(u64 size) { model_.nodes[node_].scratch_bytes = addressable(size); }
void Prepare::thread_scratch(u64 size) { model_.nodes[node_].thread_bytes = addressable((size + kAlignment - 1) & ~(kAlignment - 1)); }

void Prepare::alias(int output, int input) {
  if (wants(output)) model_.tensors[model_.output(node_, output)].view_of = model_.input(node_, input);
}

void Prepare::overwrite(int output, int input) {
  if (!wants(output)) return;
  for (i32& reuse : model_.tensors[model_.output(node_, output)].reuse) {
    if (reuse >= 0) continue;
    reuse = model_.input(node_, input);
    return;
  }
}

void Prepare::reads_slice(int input) {
  if (has(input)) ++model_.tensors[model_.input(node_, input)].slice_readers;
}

void Prepare::writes_slice(int output) {
  if (wants(output)) model_.tensors[model_.output(node_, output)].slice_writer = true;
}

void Prepare::reads_lines(int input) {
  if (input < NodeState::kLineOperands) model_.nodes[node_].line_operands |= u32{1} << input;
}

void Prepare::joins_columns() { model_.nodes[node_].joins = true; }

void Prepare::cuts_columns(int output, i64 column) {
  model_.nodes[node_].cuts = true;
  if (wants(output)) model_.tensors[model_.output(node_, output)].cut_column = column;
}

void Prepare::reads_state(int input) { state_readers_ |= u64{1} << min_of(input, 63); }

bool Prepare::grows(int output, int input) {
  if (!wants(output)) return false;
  TensorState& t = model_.tensors[model_.output(node_, output)];
  if (t.grows_from < 0 || t.grows_from != model_.input(node_, input)) return false;
  t.tensor.capacity = in(input).capacity;
  return true;
}

void Prepare::ends_rows(int operands) { model_.nodes[node_].row_operands = operands; }
void Prepare::follows_rows() { model_.nodes[node_].follows_rows = true; }

Body Prepare::body(int i) const { return Body(*model_.tensors[model_.input(node_, i)].body); }
int Prepare::threads() const { return model_.pool->threads(); }
int Prepare::isa() const { return model_.isa; }
bool Prepare::saves_memory() const { return model_.economy > 0; }
bool Prepare::outgrows_caches() const { return model_.plan_bytes > size_t{64} << 20; }

Status Prepare::fail(const char* format, ...) {
  char reason[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(reason, sizeof(reason), format, arguments);
  va_end(arguments);
  const NodeRecord& record = model_.record(node_);
  return model_.fail("node \"%s\" (%s): %s", model_.plan.strings + record.name, model_.nodes[node_].op->name, reason);
}

Status Prepare::out_of_memory() {
  const Status status = fail("out of memory");
  model_.failure = EDGEORT_OUT_OF_MEMORY;
  return status;
}

Status Prepare::failed(const Body& body, i64 trip) {
  const Status status = trip < 0 ? fail("%s", body.error()) : fail("trip %lld: %s", static_cast<long long>(trip), body.error());
  model_.failure = body.model_.failure;
  return status;
}

int Run::inputs() const { return model_.record(node_).inputs; }
int Run::outputs() const { return model_.record(node_).outputs; }
bool Run::has(int i) const { return model_.input(node_, i) >= 0; }
bool Run::wants(int i) const { return model_.output(node_, i) >= 0; }
const Tensor& Run::in(int i) const { return model_.tensor_in(node_, i); }
const Tensor& Run::out(int i) const { return model_.tensor_out(node_, i); }
const void* Run::raw_params() const { return model_.plan.params + model_.record(node_).params; }
void* Run::raw_state() const { return model_.nodes[node_].state; }
void* Run::scratch() const { return model_.nodes[node_].scratch; }
void* Run::thread_scratch(int thread) const {
  const NodeState& node = model_.nodes[node_];
  return static_cast<u8*>(node.thread_scratch) + static_cast<size_t>(thread) * node.thread_bytes;
}
Body Run::body(int i) const { return Body(*model_.tensors[model_.input(node_, i)].body); }
int Run::threads() const { return model_.pool->threads(); }
bool Run::backwards() const { return model_.nodes[node_].backwards; }
bool Run::has_row_epilogue() const { return model_.nodes[node_].row_epilogue != 0; }
void Run::end_rows(i64 first, i64 last) const {
  const u32 node = model_.nodes[node_].row_epilogue;
  if (node) model_.nodes[node].op->run_rows(Run(model_, node), first, last);
}
void Run::parallel_raw(i64 tasks, void (*call)(const void*, i64, int), const void* body) const { model_.pool->run(tasks, call, body); }

}  // namespace edgeort
