// Inputs that go on from outputs: a cache of keys, say, of which a run adds rows.
//
// The output is the input with more rows along the last axis but one, in the same memory. There is room for `capacity` rows in each
// matrix of the last two axes, so that nothing moves when rows are added: matrices lie that far apart, whatever rows they have
// (Tensor::capacity). Operators that read such a tensor say so (Prepare::reads_state); views that keep the last two axes show it.
#pragma once
#include "op.h"

namespace edgeort {

struct State {
  i32 input, output;  // tensors
  i64 capacity;
  void* data;
  u64 bytes;
};

// Binds an input to the output that it goes on from, and makes it empty.
Status bind_state(Model& model, int input, int output, i64 capacity);
// All states have `rows` rows, the first of those that they have.
Status rewind_states(Model& model, i64 rows);
// After a run: inputs are what outputs were.
void advance_states(Model& model);
bool is_state(const Model& model, i32 input);

}  // namespace edgeort
