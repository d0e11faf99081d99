#include "order.h"

#include <string.h>

#include "matrix.h"

namespace edgeort {

EDGEORT_KERNELS(OrderKernels, qgemm_order)

namespace {

// Of a node as long as the model lives, for its weights are constants.
struct Kept {
  i64 groups, quads;  // of the weights
  QOrder* order;      // of each group
};

// A copy of n elements, and `end` behind them, as long as the model lives. Null when memory is out.
template <class T>
const T* kept_list(Prepare& p, T* list, i64 n, const T& end) {
  list[n] = end;
  const u64 bytes = static_cast<u64>(n + 1) * sizeof(T);
  void* to = p.lasting_memory(bytes);
  return static_cast<const T*>(to ? memcpy(to, list, static_cast<size_t>(bytes)) : nullptr);
}

bool find(Prepare& p, const OrderKernels& kernels, const OrderShape& shape, const QMatrix& m, const Kept& kept) {
  const auto* weights = static_cast<const i8*>(p.value(kWeights));
  const u64 room = static_cast<u64>(shape.quads) + 1;
  const OrderLists lists = {static_cast<TwoQuads*>(p.keep(room * sizeof(TwoQuads))), static_cast<u16*>(p.keep(room * sizeof(u16))),
                            static_cast<MovedQuad*>(p.keep(2 * room * sizeof(MovedQuad)))};
  if (!weights || !lists.twos || !lists.ones || !lists.moved) return false;
  constexpr u16 kEnd = kMostOrdered;
  for (i64 i = 0; i < kept.groups; ++i) {
    const OrderSizes n = kernels.order(m.columns_of(weights, i), shape, lists);
    QOrder& to = kept.order[i];
    to = {kept_list(p, lists.twos, n.twos, {kEnd, kEnd}), kept_list(p, lists.ones, n.ones, kEnd),
          kept_list(p, lists.moved, n.moved, MovedQuad{{}, {}, kEnd})};
    if (!to.twos || !to.ones || !to.moved) return false;
  }
  return true;
}

}  // namespace

Status QMatrix::put_in_order(Prepare& p, i64 products, i64 tap, bool ragged) {
  const OrderKernels& kernels = qgemm_order(p.isa());
  const OrderShape shape = {panel_stride / kQuad, tap, ragged};
  if (!kernels.order || tap - ragged < kWindow || shape.quads >= kMostOrdered) return Status::ok;
  // A single row waits for weights, which are fetched ahead where they are read as they lie.
  if (rows < 2) return Status::ok;
  const i64 groups = products * padded() / kOrderColumns;
  if (!p.lasting()) {
    auto* kept = static_cast<Kept*>(p.lasting_memory(sizeof(Kept)));
    auto* all = static_cast<QOrder*>(p.lasting_memory(static_cast<u64>(groups) * sizeof(QOrder)));
    if (!kept || !all) return p.out_of_memory();
    *kept = {groups, shape.quads, all};
    if (!find(p, kernels, shape, *this, *kept)) return p.out_of_memory();
    p.lasting() = kept;
  }
  const Kept& kept = *static_cast<const Kept*>(p.lasting());
  if (kept.groups == groups && kept.quads == shape.quads) order = kept.order;
  return Status::ok;
}

}  // namespace edgeort
