// Prepare and run: shapes first, then memory, then the nodes one after the other.
#include "model.h"

#include <string.h>

#include "update.h"

namespace edgeort {

void Model::reset_from(u32 segment) {
  if (segment >= n_segments) return;
  for (u32 node = segments[segment].begin; node < plan.n_nodes; ++node) {
    const u64 ns = nodes[node].ns;
    const OpDef* op = nodes[node].op;
    void* lasting = nodes[node].lasting;
    nodes[node] = {};
    nodes[node].op = op;
    nodes[node].ns = ns;
    nodes[node].lasting = lasting;
    for (u32 k = 0; k < plan.nodes[node].outputs; ++k) {
      const i32 index = plan.node_outputs(plan.nodes[node])[k];
      if (index < 0) continue;
      TensorState& t = tensors[index];
      t.tensor.data = nullptr;
      t.value_known = t.shaped = t.streamed = t.slice_writer = t.changed = false;
      t.view_of = t.input = t.held = t.slice.root = -1;
      t.slice_readers = 0;
      t.tensor.pitch = t.tensor.capacity = 0;
      for (i32& reuse : t.reuse) reuse = -1;
    }
  }
  for (u32 i = segment; i < n_segments; ++i) {
    pages.give(segments[i].arena);
    segments[i].memory.free();
    segments[i].updated.free();
    segments[i].arena = nullptr;
  }
  n_segments = segment;
}

size_t Model::arena_bytes() const {
  size_t sum = 0;
  for (u32 i = 0; i < n_segments; ++i) sum += segments[i].arena_bytes;
  for (u32 i = 0; i < plan.n_tensors; ++i) sum += tensors[i].body ? tensors[i].body->arena_bytes() : 0;
  return sum;
}

void Model::close() {
  for (u32 i = 0; tensors && i < plan.n_tensors; ++i) {
    if (tensors[i].body) tensors[i].body->close();
  }
  reset_from(0);
  layout.free();
  pages.free();
  memory.free();
  unmap(mapping);
}

// The name of an input that gives a free dimension another size than an earlier input does, or null.
const char* Model::unequal_dimension() const {
  for (u32 i = 0; i < n_same_dims; ++i) {
    const SameDim& same = same_dims[i];
    if (tensors[same.tensor].tensor.dims[same.dim] != tensors[same.first].tensor.dims[same.first_dim])
      return plan.strings + plan.tensors[same.tensor].name;
  }
  return nullptr;
}

Status Model::prepare() {
  if (prepared) return Status::ok;
  for (u32 i = 0; i < plan.n_inputs; ++i) {
    const TensorState& t = tensors[plan.inputs[i]];
    for (int d = 0; d < t.tensor.rank; ++d) {
      if (t.tensor.dims[d] < 0) {
        return invalid("input \"%s\" has a free dimension (%d): set its shape first", plan.strings + plan.tensors[plan.inputs[i]].name, d);
      }
    }
  }
  if (const char* name = unequal_dimension())
    return invalid("input \"%s\" disagrees with another input about a dimension that is free in both", name);
  running = false;
  if (!update(*this)) {
    reset_from(0);
    EDGEORT_TRY(prepare_segment(0));
  }
  for (u32 i = 0; i < plan.n_inputs; ++i) tensors[plan.inputs[i]].changed = false;
  prepared = true;
  return Status::ok;
}

// Gives the system what earlier shapes left.
void Model::give_back() {
  layout.free();
  pages.free();
  for (u32 i = 0; i < plan.n_tensors; ++i) {
    if (tensors[i].body) tensors[i].body->give_back();
  }
}

// Prepares nodes from `begin` on; once more where that fails for the memory which earlier shapes left, of other sizes than these need.
Status Model::prepare_segment(u32 begin) {
  const Status status = prepare_within_limit(begin);
  if (status != Status::error || failure != EDGEORT_OUT_OF_MEMORY || depth) return status;
  give_back();
  return prepare_within_limit(begin);
}

// Saves as much memory as the plan's limit asks for. (The last way need not take the least: strips of small tensors take more than they
// save.)
Status Model::prepare_within_limit(u32 begin) {
  u64 taken = 0, least = ~u64{0};
  for (u32 i = 0; i < n_segments; ++i) taken += segments[i].arena_bytes;
  Status status = Status::limit;
  for (economy = 0; economy < kEconomies && status == Status::limit; ++economy) {
    status = plan_segment(begin, plan.ram_limit > taken ? plan.ram_limit - taken : 0);
    if (status == Status::error || status == Status::limit) reset_from(n_segments - 1);
    if (status == Status::limit && segments[n_segments].arena_bytes < least) least = segments[n_segments].arena_bytes;
  }
  if (status != Status::limit) return status;
  fail("activations need %llu bytes at least; the limit is %llu", static_cast<unsigned long long>(taken + least),
       static_cast<unsigned long long>(plan.ram_limit));
  return status;
}

Status Model::plan_segment(u32 begin, u64 limit) {
  Segment& segment = segments[n_segments++];
  segment = {begin, begin, Bump(&pages), Bump(&pages), nullptr, 0, nullptr, 0, false, economy};
  current = &segment;
  Status status = Status::ok;
  u32 node = begin;
  for (; node < plan.n_nodes && status == Status::ok; ++node) status = prepare_node(node);
  if (status != Status::ok) --node;
  if (status == Status::wait && running && node == begin) {
    status = fail("node \"%s\" (%s) needs a value that no node computes", plan.strings + record(node).name, nodes[node].op->name);
  }
  segment.end = node;
  if (status != Status::error && plan_slices(*this, segment) != Status::ok) status = Status::error;
  if (status != Status::error && !plan_streams(*this, segment)) status = out_of_memory();
  if (status != Status::error) plan_row_epilogues(*this, segment);
  return status == Status::error ? status : plan_memory(*this, segment, limit);
}

Status Model::prepare_node(u32 node) {
  Prepare prepare(*this, node);
  const NodeRecord& r = record(node);
  bool wanted = false;  // by anybody: kernels need not know of outputs that are absent
  for (u32 k = 0; k < r.outputs; ++k) wanted |= plan.node_outputs(r)[k] >= 0;
  nodes[node].skipped = !wanted;
  if (!wanted) return Status::ok;
  EDGEORT_TRY(nodes[node].op->prepare(prepare));
  for (u32 k = 0; n_states && k < r.inputs; ++k) EDGEORT_TRY(spread_state(prepare, static_cast<int>(k)));
  bool outputs_known = r.outputs > 0, inputs_known = true, views = true;
  size_t size = 0;
  for (u32 k = 0; k < r.outputs; ++k) {
    const i32 index = plan.node_outputs(r)[k];
    if (index < 0) continue;
    TensorState& t = tensors[index];
    if (!t.shaped) return prepare.fail("has no output %u", k);
    if (t.view_of >= 0 && bytes(t.tensor) != bytes(tensors[t.view_of].tensor))
      return prepare.fail("a view has another size than what it shows");
    if (t.view_of >= 0 && tensors[t.view_of].value_known) {
      t.value_known = true;
      t.tensor.data = tensors[t.view_of].tensor.data;
    }
    outputs_known &= t.value_known;
    views &= t.view_of >= 0;
    size += bytes(t.tensor);
  }
  for (u32 k = 0; k < r.inputs; ++k) inputs_known &= !prepare.has(static_cast<int>(k)) || prepare.is_known(static_cast<int>(k));
  nodes[node].skipped = outputs_known || views;
  // What depends on shapes alone is computed once. Large results are cheaper to make than to keep.
  constexpr size_t kMostKept = 1 << 16;
  return inputs_known && !nodes[node].skipped && size <= kMostKept && r.inputs > 0 && !running ? run_now(node) : Status::ok;
}

// What reads a state knows how far apart its matrices lie, or is a view that shows whole ones.
Status Model::spread_state(const Prepare& prepare, int input) {
  const Tensor& in = prepare.in(input);
  if (!in.capacity || prepare.state_readers_ >> min_of(input, 63) & 1) return Status::ok;
  const NodeRecord& r = record(prepare.node_);
  for (int k = 0; k < r.outputs; ++k) {
    const i32 index = output(prepare.node_, k);
    if (index < 0) continue;
    Tensor& t = tensors[index].tensor;
    const bool whole = t.rank >= 2 && t.dims[t.rank - 1] == in.dims[in.rank - 1] && t.dims[t.rank - 2] == in.dims[in.rank - 2];
    if (tensors[index].view_of != this->input(prepare.node_, input) || !whole) {
      return fail("node \"%s\" (%s) reads a state, and cannot skip the room between its rows", plan.strings + r.name,
                  nodes[prepare.node_].op->name);
    }
    t.capacity = in.capacity;
  }
  return Status::ok;
}

Status Model::run_now(u32 node) {
  Prepare prepare(*this, node);
  const NodeRecord& r = record(node);
  for (u32 k = 0; k < r.inputs; ++k) {
    if (prepare.has(static_cast<int>(k)) && !prepare.value(static_cast<int>(k))) return fail("the plan has not come");
  }
  for (u32 k = 0; k < r.outputs; ++k) {
    if (plan.node_outputs(r)[k] >= 0 && !prepare.known(static_cast<int>(k))) return out_of_memory();
  }
  NodeState& state = nodes[node];
  state.scratch = current->memory.take(state.scratch_bytes);
  size_t all_threads;
  if (__builtin_mul_overflow(state.thread_bytes, static_cast<size_t>(pool->threads()), &all_threads)) return out_of_memory();
  state.thread_scratch = current->memory.take(all_threads);
  if (!state.scratch || !state.thread_scratch) return out_of_memory();
  run_node(node);
  state.scratch_bytes = state.thread_bytes = 0;
  state.skipped = true;
  return Status::ok;
}

void Model::run_node(u32 node) {
  Run run(*this, node);
  const u64 start = profile ? now_ns() : 0;
  if (nodes[node].stream) {
    run_stream(*this, *nodes[node].stream);
  } else {
    nodes[node].op->run(run);
  }
  if (!profile) return;
  nodes[node].ns += now_ns() - start;
}

// Points inputs, and views of inputs, at the data that the caller set.
void Model::bind_inputs() {
  for (u32 i = 0; i < plan.n_tensors; ++i) {
    TensorState& t = tensors[i];
    if (t.input >= 0) t.tensor.data = tensors[plan.inputs[t.input]].tensor.data;
  }
}

void Model::run_segment(const Segment& segment) {
  for (u32 node = segment.begin; node < segment.end; ++node) {
    if (!nodes[node].skipped) run_node(node);
  }
}

Status Model::begin() {
  EDGEORT_TRY(prepare());
  for (u32 i = 0; i < plan.n_inputs; ++i) {
    const Tensor& t = tensors[plan.inputs[i]].tensor;
    if (!t.data && count(t) > 0) return invalid("input \"%s\" has no data", plan.strings + plan.tensors[plan.inputs[i]].name);
  }
  reset_from(1);
  running = true;
  bind_inputs();
  return Status::ok;
}

Status Model::run() {
  plan.here = plan.end;  // a run that begins before is one of core/arriving.h
  EDGEORT_TRY(begin());
  run_segment(segments[0]);
  return finish();
}

Status Model::finish() {
  while (segments[n_segments - 1].end < plan.n_nodes) {
    const Status status = n_segments < max_segments ? prepare_segment(segments[n_segments - 1].end)
                                                    : fail("more than %u steps whose shapes depend on data", max_segments);
    if (status != Status::ok) return status;
    bind_inputs();
    run_segment(segments[n_segments - 1]);
  }
  advance_states(*this);
  return Status::ok;
}

}  // namespace edgeort
