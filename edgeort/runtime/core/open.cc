// From a plan in memory to a model that can be prepared.
#include <stdio.h>
#include <string.h>

#include "constants.h"
#include "model.h"
#include "ops.h"
#include "texts.h"

namespace edgeort {
namespace {

const OpDef* find_op(const char* name) {
  for (const OpDef* const* op = kOps; *op; ++op) {
    if (strcmp((*op)->name, name) == 0) return *op;
  }
  return nullptr;
}

template <class T>
bool take(Bump& memory, T** out, size_t n) {
  *out = static_cast<T*>(memory.take((n + 1) * sizeof(T)));
  return *out != nullptr;
}

// Resolves every operator name to the library's kernel.
Status bind_ops(Model& m) {
  for (u32 i = 0; i < m.plan.n_ops; ++i) {
    const char* name = m.plan.strings + m.plan.ops[i];
    m.ops[i] = find_op(name);
    if (!m.ops[i]) return m.fail("this library has no kernel \"%s\"; it was built for another model", name);
  }
  for (u32 i = 0; i < m.plan.n_nodes; ++i) {
    const NodeRecord& r = m.plan.nodes[i];
    m.nodes[i].op = m.ops[r.op];
    if (r.params_bytes < m.nodes[i].op->params_bytes) {
      return m.fail("node \"%s\" (%s): its parameters are too short", m.plan.strings + r.name, m.nodes[i].op->name);
    }
  }
  return Status::ok;
}

// Points the tensor at a constant's data, which is dense in memory, or at strings that point at it.
bool load_constant(Model& m, const TensorRecord& r, TensorState* t) {
  u8* data = const_cast<u8*>(m.plan.data + r.data);
  if (r.sparse) {
    u8* dense;
    if (!take(m.memory, &dense, bytes(t->tensor))) return false;
    widen(data, static_cast<u64>(count(t->tensor)), size_of(t->tensor.dtype), dense);
    data = dense;
  }
  if (t->tensor.dtype == DType::string) {
    Text* texts;
    if (!take(m.memory, &texts, static_cast<size_t>(count(t->tensor)))) return false;
    read_texts(data, static_cast<u64>(count(t->tensor)), texts);
    data = reinterpret_cast<u8*>(texts);
  }
  t->tensor.data = data;
  t->value_known = true;
  return true;
}

Status load_tensors(Model& m) {
  for (u32 i = 0; i < m.plan.n_tensors; ++i) {
    const TensorRecord& r = m.plan.tensors[i];
    TensorState& t = m.tensors[i];
    t.storage = t.home = t.last_use = t.view_of = t.input = t.producer = t.grows_from = t.held = t.slice.root = -1;
    for (i32& reuse : t.reuse) reuse = -1;
    t.tensor.dtype = static_cast<DType>(r.dtype);
    if (static_cast<Kind>(r.kind) == Kind::activation) continue;
    t.tensor.rank = r.rank;
    for (int d = 0; d < r.rank; ++d) {
      const i64 dim = m.plan.dims[r.dims + static_cast<u32>(d)];
      t.tensor.dims[d] = dim < 0 ? -1 : dim;
    }
    if (static_cast<Kind>(r.kind) == Kind::constant && !load_constant(m, r, &t)) return m.out_of_memory();
  }
  for (u32 i = 0; i < m.plan.n_nodes; ++i) {
    const NodeRecord& r = m.plan.nodes[i];
    for (u32 k = 0; k < r.inputs; ++k) {
      if (const i32 t = m.plan.node_inputs(r)[k]; t >= 0) {
        m.tensors[t].last_use = static_cast<i32>(i);
        ++m.tensors[t].uses;
      }
    }
    for (u32 k = 0; k < r.outputs; ++k) {
      if (const i32 t = m.plan.node_outputs(r)[k]; t >= 0) m.tensors[t].producer = static_cast<i32>(i);
    }
  }
  for (u32 i = 0; i < m.plan.n_outputs; ++i) {
    m.tensors[m.plan.outputs[i]].last_use = static_cast<i32>(m.plan.n_nodes);
    ++m.tensors[m.plan.outputs[i]].uses;
  }
  return Status::ok;
}

// Which inputs' free dimensions have one name. No more than each dimension with the first of its name.
Status find_same_dims(Model& m) {
  if (!take(m.memory, &m.same_dims, size_t{m.plan.n_inputs} * kMaxRank)) return m.out_of_memory();
  for (u32 i = 0; i < m.plan.n_inputs * u32{kMaxRank}; ++i) {
    const i32 tensor = m.plan.inputs[i / kMaxRank], dim = static_cast<i32>(i % kMaxRank);
    const TensorRecord& r = m.plan.tensors[tensor];
    if (dim >= r.rank || m.plan.dims[r.dims + static_cast<u32>(dim)] >= 0) continue;
    for (u32 k = 0; k < i; ++k) {
      const i32 first = m.plan.inputs[k / kMaxRank], first_dim = static_cast<i32>(k % kMaxRank);
      const TensorRecord& f = m.plan.tensors[first];
      if (first_dim >= f.rank || m.plan.dims[f.dims + static_cast<u32>(first_dim)] != m.plan.dims[r.dims + static_cast<u32>(dim)]) continue;
      m.same_dims[m.n_same_dims++] = {tensor, dim, first, first_dim};
      break;
    }
  }
  return Status::ok;
}

// Opens the plans that are operands of nodes which run them.
Status open_bodies(Model& m) {
  for (u32 i = 0; i < m.plan.n_nodes; ++i) {
    for (int k = 0; k < m.nodes[i].op->bodies; ++k) {
      const i32 index = m.input(i, k);
      const bool fits = index >= 0 && static_cast<Kind>(m.plan.tensors[index].kind) == Kind::constant;
      if (!fits) return m.fail("node \"%s\" (%s): operand %d is no plan", m.plan.strings + m.record(i).name, m.nodes[i].op->name, k);
      TensorState& t = m.tensors[index];
      if (!m.plan.has(t.tensor.data, bytes(t.tensor))) return m.fail("the plan has not come");
      // Who runs a body owns the memory that it was prepared with.
      if (t.body) return m.fail("node \"%s\": its plan is run by another operand, too", m.plan.strings + m.record(i).name);
      t.body = static_cast<Model*>(m.memory.take(sizeof(Model)));
      if (!t.body) return m.out_of_memory();
      const size_t size = bytes(t.tensor);
      t.body->isa = m.isa;
      t.body->pool = m.pool;
      t.body->depth = m.depth + 1;
      const Status status = t.body->depth > Model::kMostNested ? t.body->fail("plans are nested too deeply")
                                                               : open_plan(*t.body, t.tensor.as<const u8>(), size, size);
      if (status != Status::ok) return m.fail("node \"%s\": %.400s", m.plan.strings + m.record(i).name, t.body->error);
    }
  }
  return Status::ok;
}

}  // namespace

Status open_plan(Model& m, const u8* data, size_t size, size_t here) {
  if (reinterpret_cast<uintptr_t>(data) % kAlignment) return m.fail("the plan's memory is not 64-byte aligned");
  if (const char* problem = read_plan(data, size, here, &m.plan)) return m.fail("%s", problem);
  m.plan_bytes = size;
  u8* marks;
  if (!take(m.memory, &marks, m.plan.n_tensors) || !take(m.memory, &m.tensors, m.plan.n_tensors) ||
      !take(m.memory, &m.nodes, m.plan.n_nodes) || !take(m.memory, &m.ops, m.plan.n_ops)) {
    return m.out_of_memory();
  }
  if (const char* problem = check_order(m.plan, marks)) return m.fail("%s", problem);
  m.max_segments = static_cast<u32>(min_of(m.plan.n_nodes, 1024)) + 1;
  if (!take(m.memory, &m.segments, m.max_segments)) return m.out_of_memory();
  EDGEORT_TRY(bind_ops(m));
  EDGEORT_TRY(load_tensors(m));
  EDGEORT_TRY(find_same_dims(m));
  return open_bodies(m);
}

}  // namespace edgeort
