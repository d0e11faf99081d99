// TreeEnsemble: decision trees that vote. Operands: x [rows, features] of float32 or float64, the nodes (feature, test, next where it
// holds, next where not: int32 [n, 4]; -1 - k is leaf k), what each compares with (of x's type), the root of each tree, where the
// votes of each leaf begin (int32 [leaves + 1]), and of each vote its target and its weight; what is added to each target (or none).
// Children stand behind their parents. Parameters: targets, how votes are joined. Trees vote in their order.
#include <string.h>

#include "../move/args.h"

namespace edgeort {
namespace {

enum Test : i32 { kLessOrEqual, kLess, kGreaterOrEqual, kGreater, kEqual, kNotEqual, kTests };
constexpr i32 kMissing = 16;  // in the test: NaN goes where it holds
enum Join : i64 { kAverage, kSum, kMin, kMax };
enum Operand { kX, kNodes, kSplits, kRoots, kLeaves, kTargets, kWeights, kBase };

struct Node {
  i32 feature, test, yes, no;
};

struct Forest {
  const Node* nodes;
  const i32 *roots, *leaves, *targets;
  i64 n_nodes, trees, n_leaves, votes, width;
};

Status constant_of(Prepare& p, int input, DType dtype, const void** data) {
  if (!p.has(input) || p.in(input).dtype != dtype) return p.fail("operand %d is absent or of another type", input);
  return value_of(p, input, data);
}

Status forest_of(Prepare& p, Forest* f) {
  const void *nodes, *roots, *leaves, *targets;
  EDGEORT_TRY(constant_of(p, kNodes, DType::i32, &nodes));
  EDGEORT_TRY(constant_of(p, kRoots, DType::i32, &roots));
  EDGEORT_TRY(constant_of(p, kLeaves, DType::i32, &leaves));
  EDGEORT_TRY(constant_of(p, kTargets, DType::i32, &targets));
  f->nodes = static_cast<const Node*>(nodes);
  f->roots = static_cast<const i32*>(roots);
  f->leaves = static_cast<const i32*>(leaves);
  f->targets = static_cast<const i32*>(targets);
  f->n_nodes = count(p.in(kNodes)) / 4;
  f->trees = count(p.in(kRoots));
  f->n_leaves = count(p.in(kLeaves)) - 1;
  f->votes = count(p.in(kTargets));
  f->width = p.params<ListParams>().values[0];
  return f->n_leaves >= 0 && f->width > 0 && f->width < i64{1} << 31 ? Status::ok : p.fail("it has no leaves, or no targets");
}

// What a node or a tree goes on with: a node behind `after`, or a leaf.
bool leads_on(const Forest& f, i32 next, i64 after) { return next >= 0 ? next > after && next < f.n_nodes : -1 - i64{next} < f.n_leaves; }

Status check(Prepare& p, const Forest& f, i64 features) {
  bool fits = true;
  for (i64 i = 0; i < f.n_nodes && fits; ++i) {
    const Node& node = f.nodes[i];
    fits = node.feature >= 0 && node.feature < features && leads_on(f, node.yes, i) && leads_on(f, node.no, i);
    fits = fits && (node.test & ~kMissing) >= 0 && (node.test & ~kMissing) < kTests;
    if (!fits) return p.fail("node %lld of its trees reads a feature, or leads to a node, that is not there", (long long)i);
  }
  for (i64 i = 0; i < f.trees && fits; ++i) fits = leads_on(f, f.roots[i], -1);
  for (i64 i = 0; i < f.n_leaves && fits; ++i) fits = f.leaves[i] <= f.leaves[i + 1];
  fits = fits && f.leaves[0] >= 0 && f.leaves[f.n_leaves] <= f.votes;
  for (i64 i = 0; i < f.votes && fits; ++i) fits = f.targets[i] >= 0 && f.targets[i] < f.width;
  return fits ? Status::ok : p.fail("its roots, leaves or votes are damaged");
}

Status prepare(Prepare& p) {
  EDGEORT_TRY(need(p, 7, 1));
  const Tensor& x = p.in(kX);
  if ((x.dtype != DType::f32 && x.dtype != DType::f64) || x.rank < 1 || x.rank > 2)
    return p.fail("its input must be one or two axes of floats");
  auto* f = p.state<Forest>();
  if (!f) return p.out_of_memory();
  EDGEORT_TRY(forest_of(p, f));
  EDGEORT_TRY(check(p, *f, x.dims[x.rank - 1]));
  if (p.in(kSplits).dtype != x.dtype || count(p.in(kSplits)) != f->n_nodes)
    return p.fail("its nodes need one number each of its input's type");
  const Tensor& weights = p.in(kWeights);
  if ((weights.dtype != DType::f32 && weights.dtype != DType::f64) || count(weights) != f->votes)
    return p.fail("its votes need one weight each");
  if (p.has(kBase) && (p.in(kBase).dtype != weights.dtype || count(p.in(kBase)) != f->width))
    return p.fail("its targets need one base each");
  const i64 dims[2] = {x.rank == 2 ? x.dims[0] : 1, f->width};
  p.thread_scratch(static_cast<u64>(f->width));
  return p.set(0, weights.dtype, dims, 2);
}

template <class T>
bool holds(i32 test, T x, T split) {
  if ((test & kMissing) && x != x) return true;
  switch (test & ~kMissing) {
    case kLessOrEqual:
      return x <= split;
    case kLess:
      return x < split;
    case kGreaterOrEqual:
      return x >= split;
    case kGreater:
      return x > split;
    case kEqual:
      return x == split;
    default:
      return x != split;
  }
}

// The scores of one row. `voted`: whether a target has a vote yet.
template <class X, class W>
void score(const Forest& f, const X* x, const X* splits, const W* weights, i64 join, W* y, u8* voted) {
  for (i64 t = 0; t < f.width; ++t) y[t] = 0, voted[t] = 0;
  for (i64 tree = 0; tree < f.trees; ++tree) {
    i32 at = f.roots[tree];
    while (at >= 0) at = holds(f.nodes[at].test, x[f.nodes[at].feature], splits[at]) ? f.nodes[at].yes : f.nodes[at].no;
    for (i32 vote = f.leaves[-1 - at]; vote < f.leaves[-at]; ++vote) {
      const i32 target = f.targets[vote];
      const W weight = weights[vote];
      const bool takes = !voted[target] || (join == kMin ? weight < y[target] : weight > y[target]);
      if (join <= kSum)
        y[target] += weight;
      else if (takes)
        y[target] = weight;
      voted[target] = 1;
    }
  }
}

template <class X, class W>
void run_typed(Run& r) {
  const Forest& f = r.state<Forest>();
  const Tensor &x = r.in(kX), &out = r.out(0);
  const i64 features = x.dims[x.rank - 1], join = r.params<ListParams>().values[1];
  const W* base = r.has(kBase) ? r.in(kBase).as<const W>() : nullptr;
  r.ranges(out.dims[0], max_of(1, 4096 / max_of(1, f.trees)), [&](i64 begin, i64 end, int thread) {
    for (i64 row = begin; row < end; ++row) {
      W* y = out.as<W>() + row * f.width;
      score(f, x.as<const X>() + row * features, r.in(kSplits).as<const X>(), r.in(kWeights).as<const W>(), join, y,
            static_cast<u8*>(r.thread_scratch(thread)));
      for (i64 t = 0; t < f.width; ++t) {
        if (join == kAverage && f.trees) y[t] /= static_cast<W>(f.trees);
        if (base) y[t] += base[t];
      }
    }
  });
}

void run(Run& r) {
  const bool wide = r.in(kX).dtype == DType::f64;
  if (r.in(kWeights).dtype == DType::f64)
    wide ? run_typed<f64, f64>(r) : run_typed<f32, f64>(r);
  else
    wide ? run_typed<f64, f32>(r) : run_typed<f32, f32>(r);
}

}  // namespace

extern const OpDef kTreeEnsemble;
const OpDef kTreeEnsemble = {"TreeEnsemble", sizeof(ListParams), prepare, run};

}  // namespace edgeort
