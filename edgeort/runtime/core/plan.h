// A plan in memory, checked. After read_plan succeeds every index and offset in the tables is within bounds.
#pragma once
#include "plan_layout.h"

namespace edgeort {

// The product of a tensor's dimensions, zeros left out, stays below this: strides and counts of parts never overflow.
static constexpr u64 kMostElements = u64{1} << 40;

static constexpr i64 kUnbounded = INT64_MAX;

struct Plan {
  const TensorRecord* tensors;
  const NodeRecord* nodes;
  const u32* ops;       // offset of each operator's name
  const i32* operands;  // tensor indices
  const i64* dims;
  const i64 (*bounds)[2];  // least and greatest size of the first free dimensions
  const char* strings;
  const u8* params;
  const u8* data;
  u32 n_tensors, n_nodes, n_ops, n_inputs, n_outputs, n_bounds;
  u64 ram_limit;  // bytes that activations may take
  const i32* inputs;
  const i32* outputs;
  const u8 *base, *here, *end;  // of the whole plan; behind `here` it has not come yet (core/arriving.h)
  u64 wanted;                   // up to where somebody asked for more than was there; 0: nobody did

  const i32* node_inputs(const NodeRecord& node) const { return operands + node.operands; }
  const i32* node_outputs(const NodeRecord& node) const { return operands + node.operands + node.inputs; }
  // What a dimension of an input may be, least and greatest.
  void bounds_of(const TensorRecord& input, int axis, i64* least, i64* most) const {
    const i64 dim = dims[input.dims + static_cast<u32>(axis)], free = -1 - dim;
    const bool bounded = dim < 0 && free < n_bounds;
    *least = dim >= 0 ? dim : bounded ? bounds[free][0] : 0;
    *most = dim >= 0 ? dim : bounded ? bounds[free][1] : kUnbounded;
  }
  // Whether these bytes, of the plan or of other memory, are there. If not, they are wanted.
  bool has(const void* data, u64 bytes) {
    const u8* first = static_cast<const u8*>(data);
    if (first < base || first >= end) return true;
    const u64 last = static_cast<u64>(first - base) + bytes;
    return last <= static_cast<u64>(here - base) || want(last);
  }
  bool want(u64 bytes) {
    if (bytes > wanted) wanted = bytes;
    return false;
  }
};

// Returns null, or what is wrong with the plan. `data` must be 8-byte aligned and stay where it is. Nothing is read behind the first
// `here` bytes: what needs more of them is wrong, too, and leaves plan->wanted.
const char* read_plan(const u8* data, size_t size, size_t here, Plan* plan);

// Returns null when every value is produced once, before its first use, and inputs and constants by nobody; else what is
// wrong. `ready` is a byte of work space for each tensor.
const char* check_order(const Plan& plan, u8* ready);

}  // namespace edgeort
