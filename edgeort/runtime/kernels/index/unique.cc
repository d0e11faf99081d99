// Unique: the result's size depends on the data, so all of the work is done while preparing.
#include "gather.h"
#include "order.h"

namespace edgeort {
namespace {

// What is compared: `n` items, each `outer` runs of `inner` elements.
struct Items {
  const void* data;
  DType dtype;
  i64 n, outer, inner;

  i64 place(i64 item, i64 run) const { return (run * n + item) * inner; }
  // Below, at or above zero as a comes before, with or behind b.
  int compare(i64 a, i64 b) const {
    for (i64 run = 0; run < outer; ++run) {
      for (i64 i = 0; i < inner; ++i) {
        if (dtype == DType::string) {
          const auto* texts = static_cast<const Text*>(data);
          if (const int c = compare_texts(texts[place(a, run) + i], texts[place(b, run) + i])) return c;
          continue;
        }
        const u64 x = key_of(dtype, data, place(a, run) + i), y = key_of(dtype, data, place(b, run) + i);
        if (x != y) return x < y ? -1 : 1;
      }
    }
    return 0;
  }
};

// A distinct item: its first occurrence, how many there are, and where the sorted order has them.
struct Distinct {
  i64 first, number, begin;
};

// Finds the distinct items, in their own order; `order` gets all items sorted, equal ones by rising position.
i64 find_distinct(const Items& items, i64* order, Distinct* found) {
  for (i64 i = 0; i < items.n; ++i) order[i] = i;
  sort(order, items.n, [&](i64 a, i64 b) {
    const int c = items.compare(a, b);
    return c ? c < 0 : a < b;
  });
  i64 groups = 0;
  for (i64 i = 0; i < items.n; ++i) {
    if (i == 0 || items.compare(order[i - 1], order[i])) found[groups++] = {order[i], 0, i};
    ++found[groups - 1].number;
  }
  return groups;
}

Status write_lists(Prepare& p, const Items& items, const i64* order, const Distinct* found, i64 groups) {
  EDGEORT_TRY(p.set(1, DType::i64, &groups, 1));
  EDGEORT_TRY(p.set(2, DType::i64, &items.n, 1));
  EDGEORT_TRY(p.set(3, DType::i64, &groups, 1));
  i64* lists[4] = {};
  for (int i = 1; i < 4; ++i) {
    if (p.wants(i) && !(lists[i] = static_cast<i64*>(p.known(i)))) return p.out_of_memory();
  }
  for (i64 g = 0; g < groups; ++g) {
    if (lists[1]) lists[1][g] = found[g].first;
    for (i64 k = 0; lists[2] && k < found[g].number; ++k) lists[2][order[found[g].begin + k]] = g;
    if (lists[3]) lists[3][g] = found[g].number;
  }
  return Status::ok;
}

// flag: bit 0 along `axis` (else the input is flat), bit 1 sorted (else in the order of first occurrences).
Status prepare(Prepare& p) {
  EDGEORT_TRY(need(p, 1, 0));
  const Tensor& in = p.in(0);
  const auto& params = p.params<AxisParams>();
  if (in.dtype == DType::tensor) return p.fail("tensors have no order");
  const bool along = params.flag & 1, sorted = params.flag & 2;
  int axis = 0;
  if (along) EDGEORT_TRY(axis_of(p, params.axis, in.rank, &axis));
  Items items = {nullptr, in.dtype, count(in), 1, 1};
  if (along) items = {nullptr, in.dtype, in.dims[axis], count(in, 0, axis), count(in, axis + 1, in.rank)};
  EDGEORT_TRY(value_of(p, 0, &items.data));
  // Items without elements may be any number.
  if (items.n > i64{1} << 40) return p.fail("it has too many items");
  auto* found = static_cast<Distinct*>(state_of(p, items.n * static_cast<i64>(sizeof(Distinct) + sizeof(i64))));
  if (!found) return p.out_of_memory();
  i64* order = reinterpret_cast<i64*>(found + items.n);
  const i64 groups = find_distinct(items, order, found);
  if (!sorted) sort(found, groups, [](const Distinct& a, const Distinct& b) { return a.first < b.first; });
  EDGEORT_TRY(write_lists(p, items, order, found, groups));
  if (!p.wants(0)) return Status::ok;
  i64 dims[kMaxRank] = {groups};
  for (int d = 0; along && d < in.rank; ++d) dims[d] = d == axis ? groups : in.dims[d];
  EDGEORT_TRY(p.set(0, in.dtype, dims, along ? in.rank : 1));
  u8* out = static_cast<u8*>(p.known(0));
  if (!out) return p.out_of_memory();
  const i64 size = static_cast<i64>(size_of(in.dtype)), run = items.inner * size;
  for (i64 i = 0; i < items.outer * groups; ++i) {
    const i64 from = items.place(found[i % groups].first, i / groups) * size;
    memcpy(out + i * run, static_cast<const u8*>(items.data) + from, static_cast<size_t>(run));
  }
  return Status::ok;
}

void nothing(Run&) {}

}  // namespace

extern const OpDef kUnique;
const OpDef kUnique = {"Unique", sizeof(AxisParams), prepare, nothing};

}  // namespace edgeort
