#include "order.h"

#include "matrix.h"

namespace edgeort {

EDGEORT_KERNELS(OrderKernels, qgemm_order)

namespace {

// Of a node as long as the model lives, for its weights are constants.
struct Kept {
  i64 groups, quads;  // of the weights
  QOrder order;
};

// Where the lists of each group of columns begin, and how many entries those of all have.
OrderSizes begin_lists(const OrderKernels& kernels, const i8* weights, const QMatrix& m, const OrderShape& shape, i64 groups, u32* begins) {
  OrderSizes all = {};
  for (i64 i = 0; i < groups; ++i) {
    const OrderSizes n = kernels.order(m.columns_of(weights, i), shape, nullptr, nullptr);
    begins[2 * i] = static_cast<u32>(all.plain);
    begins[2 * i + 1] = static_cast<u32>(all.moved);
    all.plain += n.plain + 1;
    all.moved += n.moved + 1;
  }
  return all;
}

}  // namespace

Status QMatrix::put_in_order(Prepare& p, i64 products, i64 tap, bool ragged) {
  const OrderKernels& kernels = qgemm_order(p.isa());
  const OrderShape shape = {panel_stride / kQuad, tap, ragged};
  const i64 groups = products * padded() / kOrderColumns;
  // Lists begin at numbers of 32 bits; no more than two quads are made of one.
  if (!kernels.order || tap - ragged < kWindow || shape.quads >= kMostOrdered || groups > (i64{1} << 31) / (2 * shape.quads + 1)) {
    return Status::ok;
  }
  if (!p.lasting()) {
    const auto* weights = static_cast<const i8*>(p.value(kWeights));
    auto* kept = static_cast<Kept*>(p.lasting_memory(sizeof(Kept)));
    auto* begins = static_cast<u32*>(p.lasting_memory(static_cast<u64>(2 * groups) * sizeof(u32)));
    if (!weights || !kept || !begins) return p.out_of_memory();
    const OrderSizes all = begin_lists(kernels, weights, *this, shape, groups, begins);
    auto* plain = static_cast<u16*>(p.lasting_memory(static_cast<u64>(all.plain) * sizeof(u16)));
    auto* moved = static_cast<MovedQuad*>(p.lasting_memory(static_cast<u64>(all.moved) * sizeof(MovedQuad)));
    if (!plain || !moved) return p.out_of_memory();
    for (i64 i = 0; i < groups; ++i) {
      u16* quads = plain + begins[2 * i];
      MovedQuad* others = moved + begins[2 * i + 1];
      const OrderSizes n = kernels.order(columns_of(weights, i), shape, quads, others);
      quads[n.plain] = kMostOrdered;
      others[n.moved].window = kMostOrdered;
    }
    *kept = {groups, shape.quads, {begins, plain, moved}};
    p.lasting() = kept;
  }
  const Kept& kept = *static_cast<const Kept*>(p.lasting());
  if (kept.groups == groups && kept.quads == shape.quads) order = kept.order;
  return Status::ok;
}

}  // namespace edgeort
