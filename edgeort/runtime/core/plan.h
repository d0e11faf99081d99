// A plan in memory, checked. After read_plan succeeds every index and offset in the tables is within bounds.
#pragma once
#include "plan_layout.h"

namespace edgeort {

// The product of a tensor's dimensions, zeros left out, stays below this: strides and counts of parts never overflow.
static constexpr u64 kMostElements = u64{1} << 40;

struct Plan {
  const TensorRecord* tensors;
  const NodeRecord* nodes;
  const u32* ops;       // offset of each operator's name
  const i32* operands;  // tensor indices
  const i64* dims;
  const char* strings;
  const u8* params;
  const u8* data;
  u32 n_tensors, n_nodes, n_ops, n_inputs, n_outputs;
  u64 ram_limit;  // bytes that activations may take
  const i32* inputs;
  const i32* outputs;

  const i32* node_inputs(const NodeRecord& node) const { return operands + node.operands; }
  const i32* node_outputs(const NodeRecord& node) const { return operands + node.operands + node.inputs; }
};

// Returns null, or what is wrong with the plan. `data` must be 8-byte aligned and stay where it is.
const char* read_plan(const u8* data, size_t size, Plan* plan);

// Returns null when every value is produced once, before its first use, and inputs and constants by nobody; else what is
// wrong. `ready` is a byte of work space for each tensor.
const char* check_order(const Plan& plan, u8* ready);

}  // namespace edgeort
