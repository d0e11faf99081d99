#include "plan.h"

#include <string.h>

#include "constants.h"
#include "texts.h"

namespace edgeort {
namespace {

constexpr const char* kTooEarly = "the plan has not come";

struct Reader {
  const u8* base;
  size_t size;
  u64 last;  // where the tables so far end

  // The table at section[0] with section[1] records of T, or null.
  template <class T>
  bool table(const u64 section[2], const T** out, u64 limit = 0xffffffffu) {
    const u64 offset = section[0], n = section[1];
    if (offset > size || offset % alignof(T) || n > limit || n > (size - offset) / sizeof(T)) return false;
    *out = reinterpret_cast<const T*>(base + offset);
    if (offset + n * sizeof(T) > last) last = offset + n * sizeof(T);
    return true;
  }
};

const char* check_tensor(const TensorRecord& t, const Header& h, Plan& plan) {
  if (t.name >= h.strings[1]) return "a tensor's name is out of bounds";
  if (t.dtype >= kDTypes || t.rank > kMaxRank || t.kind > static_cast<u8>(Kind::constant)) return "a tensor's type is unknown";
  if (static_cast<Kind>(t.kind) == Kind::activation) return nullptr;
  if (static_cast<DType>(t.dtype) == DType::q8) return "an input or a constant is of the runtime's own type";
  if (t.dims > h.dims[1] || t.rank > h.dims[1] - t.dims) return "a tensor's shape is out of bounds";
  u64 elements = 1;
  bool empty = false;
  for (u32 i = 0; i < t.rank; ++i) {
    const i64 dim = plan.dims[t.dims + i];
    if (dim < 0 && static_cast<Kind>(t.kind) == Kind::constant) return "a constant has a free dimension";
    empty |= dim == 0;
    if (dim <= 0) continue;
    if (__builtin_mul_overflow(elements, static_cast<u64>(dim), &elements) || elements > kMostElements) return "a tensor is too large";
  }
  if (empty) elements = 0;
  if (static_cast<Kind>(t.kind) != Kind::constant) return nullptr;
  if (static_cast<DType>(t.dtype) == DType::tensor) return "a constant is of a type that has none";
  if (elements > (~size_t{0} >> 2) / kDTypeSize[t.dtype]) return "a tensor is too large";
  if (t.data > h.data[1] || t.bytes > h.data[1] - t.data || t.data % kAlignment) return "a constant's data is out of bounds";
  const bool is_text = static_cast<DType>(t.dtype) == DType::string;
  if ((is_text || t.sparse) && !plan.has(plan.data + t.data, t.bytes)) return kTooEarly;
  if (is_text) {
    return !t.sparse && are_texts(plan.data + t.data, t.bytes, elements) ? nullptr
                                                                         : "a constant's strings disagree with its shape or its data";
  }
  if (t.sparse) {
    const bool fits = t.sparse == 1 && is_sparse(plan.data + t.data, t.bytes, elements, kDTypeSize[t.dtype]);
    return fits ? nullptr : "a sparse constant's mask disagrees with its shape or its data";
  }
  if (t.bytes != elements * kDTypeSize[t.dtype]) return "a constant's size disagrees with its shape";
  return nullptr;
}

bool tensor_list(const i32* list, u32 n, u32 n_tensors, bool optional) {
  for (u32 i = 0; i < n; ++i) {
    if (list[i] < (optional ? -1 : 0) || list[i] >= static_cast<i64>(n_tensors)) return false;
  }
  return true;
}

const char* check_nodes(const Header& h, const Plan& plan) {
  for (u32 i = 0; i < plan.n_nodes; ++i) {
    const NodeRecord& node = plan.nodes[i];
    const u64 n = u64{node.inputs} + node.outputs;
    if (node.op >= plan.n_ops || node.name >= h.strings[1]) return "a node's operator or name is out of bounds";
    if (node.operands > h.operands[1] || n > h.operands[1] - node.operands) return "a node's operands are out of bounds";
    if (!tensor_list(plan.node_inputs(node), static_cast<u32>(n), plan.n_tensors, true)) return "a node's operand is out of bounds";
    if (node.params > h.params[1] || node.params_bytes > h.params[1] - node.params || node.params % 8) {
      return "a node's parameters are out of bounds";
    }
  }
  return nullptr;
}

}  // namespace

const char* read_plan(const u8* data, size_t size, size_t here, Plan* plan) {
  plan->base = data;
  plan->here = data + here;
  plan->end = data + size;
  plan->wanted = 0;
  if (size >= sizeof(Header) && !plan->has(data, sizeof(Header))) return kTooEarly;
  if (size < sizeof(Header) || memcmp(data, kMagic, sizeof(kMagic)) != 0) return "not an edgeort plan";
  const Header& h = *reinterpret_cast<const Header*>(data);
  if (h.version != kVersion) return "the plan was made for another version of the runtime";
  if (h.size != size) return "the plan is truncated";
  Reader reader = {data, size, 0};
  bool fits = reader.table(h.tensors, &plan->tensors, 1u << 24) && reader.table(h.nodes, &plan->nodes, 1u << 24) &&
              reader.table(h.ops, &plan->ops) && reader.table(h.operands, &plan->operands) && reader.table(h.dims, &plan->dims) &&
              reader.table(h.bounds, &plan->bounds) && reader.table(h.strings, &plan->strings) &&
              reader.table(h.params, &plan->params, size);
  const u64 tables = reader.last;
  fits = fits && reader.table(h.data, &plan->data, size);
  if (!fits || h.params[0] % 8 || h.data[0] % kAlignment) return "a table of the plan is out of bounds";
  if (!plan->has(data, tables)) return kTooEarly;
  if (h.strings[1] == 0 || plan->strings[h.strings[1] - 1] != 0) return "the plan's names are not terminated";
  plan->ram_limit = h.ram_limit ? h.ram_limit : ~u64{0};
  plan->n_tensors = static_cast<u32>(h.tensors[1]);
  plan->n_nodes = static_cast<u32>(h.nodes[1]);
  plan->n_ops = static_cast<u32>(h.ops[1]);
  plan->n_bounds = static_cast<u32>(h.bounds[1]);
  for (u32 i = 0; i < plan->n_bounds; ++i) {
    if (plan->bounds[i][0] < 0 || plan->bounds[i][1] < plan->bounds[i][0]) return "the bounds of a dimension are upside down";
  }
  for (u32 i = 0; i < plan->n_ops; ++i) {
    if (plan->ops[i] >= h.strings[1]) return "an operator's name is out of bounds";
  }
  for (u32 i = 0; i < plan->n_tensors; ++i) {
    if (const char* problem = check_tensor(plan->tensors[i], h, *plan)) return problem;
  }
  if (const char* problem = check_nodes(h, *plan)) return problem;
  const u32* const lists[] = {h.inputs, h.outputs};
  for (const u32* list : lists) {
    if (list[0] > h.operands[1] || list[1] > h.operands[1] - list[0]) return "the list of inputs or outputs is out of bounds";
    if (!tensor_list(plan->operands + list[0], list[1], plan->n_tensors, false)) return "an input or output is out of bounds";
  }
  plan->inputs = plan->operands + h.inputs[0];
  plan->n_inputs = h.inputs[1];
  plan->outputs = plan->operands + h.outputs[0];
  plan->n_outputs = h.outputs[1];
  for (u32 i = 0; i < plan->n_inputs; ++i) {
    if (static_cast<Kind>(plan->tensors[plan->inputs[i]].kind) != Kind::input) return "an input is of another kind";
  }
  return nullptr;
}

const char* check_order(const Plan& plan, u8* ready) {
  for (u32 i = 0; i < plan.n_tensors; ++i) ready[i] = static_cast<Kind>(plan.tensors[i].kind) == Kind::constant;
  for (u32 i = 0; i < plan.n_inputs; ++i) {
    if (ready[plan.inputs[i]]) return "an input is listed twice";
    ready[plan.inputs[i]] = 1;
  }
  for (u32 i = 0; i < plan.n_nodes; ++i) {
    const NodeRecord& node = plan.nodes[i];
    for (u32 k = 0; k < node.inputs; ++k) {
      const i32 t = plan.node_inputs(node)[k];
      if (t >= 0 && !ready[t]) return "a node reads a value before it is produced";
    }
    for (u32 k = 0; k < node.outputs; ++k) {
      const i32 t = plan.node_outputs(node)[k];
      if (t < 0) continue;
      if (ready[t]) return "a value is produced twice";
      ready[t] = 1;
    }
  }
  for (u32 i = 0; i < plan.n_outputs; ++i) {
    if (!ready[plan.outputs[i]]) return "an output is never produced";
  }
  return nullptr;
}

}  // namespace edgeort
