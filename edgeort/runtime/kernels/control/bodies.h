// What If and Loop share: a body's inputs are operands of the node, its outputs the node's.
#pragma once
#include <string.h>

#include "../../core/body.h"
#include "../../core/texts.h"

namespace edgeort {

// Gives inputs [to, to + n) of a body the operands of a node from `from` on. False when an element type differs.
template <class Node>
static inline bool give(const Node& node, const Body& body, int to, int from, int n) {
  for (int i = 0; i < n; ++i) {
    if (!node.has(from + i) || !body.set(to + i, node.in(from + i))) return false;
  }
  return true;
}

// Whether the values of operands [first, last), which may be absent, are known.
static inline bool all_known(const Prepare& p, int first, int last) {
  for (int i = first; i < last; ++i) {
    if (p.has(i) && !p.value(i)) return false;
  }
  return true;
}

static inline bool same_shape(const Tensor& a, const Tensor& b) {
  bool same = a.dtype == b.dtype && a.rank == b.rank;
  for (int d = 0; d < a.rank; ++d) same = same && a.dims[d] == b.dims[d];
  return same;
}

static inline void copy(void* to, const void* from, size_t bytes) {
  if (bytes) memcpy(to, from, bytes);
}

// Declares an output whose value is known.
static inline Status set_known(Prepare& p, int output, const Tensor& t, const void* data) {
  EDGEORT_TRY(p.set(output, t.dtype, t.dims, t.rank));
  if (!p.wants(output)) return Status::ok;
  void* to = p.known(output);
  if (!to) return p.out_of_memory();
  copy(to, data, bytes(t));
  return own(p, t.dtype, to, count(t));
}

}  // namespace edgeort
