// TopK, ArgMax and ArgMin. NaN counts as the greatest value; of equal values the first one comes first.
#include "gather.h"
#include "order.h"

namespace edgeort {
namespace {

struct Item {
  u64 key;
  i64 at;
};

// flag: the largest (else the smallest). Always sorted, which is one of the orders that sorted=0 allows.
Status prepare_topk(Prepare& p) {
  EDGEORT_TRY(need(p, 2, 0));
  const Tensor& in = p.in(0);
  if (points(in.dtype)) return p.fail("has no order for elements that are no numbers");
  int axis;
  EDGEORT_TRY(axis_of(p, p.params<AxisParams>().axis, in.rank, &axis));
  Integers k;
  EDGEORT_TRY(integers_of(p, 1, 1, &k));
  if (k.n != 1 || k[0] < 0 || k[0] > in.dims[axis]) return p.fail("its k is out of range for %lld elements", (long long)in.dims[axis]);
  i64 dims[kMaxRank];
  for (int d = 0; d < in.rank; ++d) dims[d] = d == axis ? k[0] : in.dims[d];
  EDGEORT_TRY(p.set(0, in.dtype, dims, in.rank));
  EDGEORT_TRY(p.set(1, DType::i64, dims, in.rank));
  auto* kept = p.state<i64>();
  if (!kept) return p.out_of_memory();
  *kept = k[0];
  if (count(in) == 0) return Status::ok;
  const u64 each = static_cast<u64>(k[0]) * sizeof(Item);
  if (each > (size_t{0} - 1) / 4 / static_cast<size_t>(p.threads())) return p.fail("its k is too large");
  p.thread_scratch(each);
  return Status::ok;
}

void run_topk(Run& r) {
  const Tensor& in = r.in(0);
  const auto& params = r.params<AxisParams>();
  const int axis = static_cast<int>(params.axis < 0 ? params.axis + in.rank : params.axis);
  const i64 k = r.state<i64>(), n = in.dims[axis], inner = count(in, axis + 1, in.rank), size = static_cast<i64>(size_of(in.dtype));
  const u64 flip = params.flag ? ~u64{0} : 0;
  const auto before = [](const Item& a, const Item& b) { return a.key != b.key ? a.key < b.key : a.at < b.at; };
  if (k == 0 || count(in) == 0) return;
  r.ranges(count(in, 0, axis) * inner, max_of(1, 4096 / n), [&](i64 begin, i64 end, int thread) {
    Item* best = static_cast<Item*>(r.thread_scratch(thread));
    for (i64 line = begin; line < end; ++line) {
      const i64 first = line / inner * n * inner + line % inner, to = line / inner * k * inner + line % inner;
      for (i64 i = 0; i < n; ++i) {
        const Item item = {key_of(in.dtype, in.data, first + i * inner) ^ flip, i};
        if (i < k) {
          best[i] = item;
          if (i == k - 1) make_heap(best, k, before);
        } else if (before(item, best[0])) {
          best[0] = item;
          sift(best, k, 0, before);
        }
      }
      sort_heap(best, k, before);
      for (i64 i = 0; i < k; ++i) {
        const i64 source = first + best[i].at * inner, target = to + i * inner;
        if (r.wants(1)) r.out(1).as<i64>()[target] = best[i].at;
        if (r.wants(0)) copy_run(r.out(0).as<u8>() + target * size, in.as<const u8>() + source * size, static_cast<size_t>(size));
      }
    }
  });
}

enum ArgFlags : i64 { kKeepDims = 1, kLast = 2, kLeast = 4 };

Status prepare_arg(Prepare& p) {
  EDGEORT_TRY(need(p, 1, 1));
  const Tensor& in = p.in(0);
  if (points(in.dtype)) return p.fail("has no order for elements that are no numbers");
  const auto& params = p.params<AxisParams>();
  int axis, rank = 0;
  EDGEORT_TRY(axis_of(p, params.axis, in.rank, &axis));
  i64 dims[kMaxRank];
  for (int d = 0; d < in.rank; ++d) {
    if (d != axis) dims[rank++] = in.dims[d];
    if (d == axis && params.flag & kKeepDims) dims[rank++] = 1;
  }
  EDGEORT_TRY(p.set(0, DType::i64, dims, rank));
  if (in.dims[axis] == 0 && count(p.out(0)) > 0) return p.fail("axis %d has no elements", axis);
  return Status::ok;
}

constexpr i64 kColumns = 128;

// The best of n rows in each of `columns` columns; rows lie `stride` elements apart, `key(i)` orders element i.
template <class Key, class KeyOf>
void best_rows(i64* out, i64 n, i64 stride, i64 columns, bool last, const KeyOf& key) {
  Key best[kColumns];
  for (i64 c = 0; c < columns; ++c) best[c] = key(c), out[c] = 0;
  for (i64 i = 1; i < n; ++i) {
    for (i64 c = 0; c < columns; ++c) {
      const Key k = key(i * stride + c);
      const bool better = k > best[c] || (last && k == best[c]);
      best[c] = better ? k : best[c];
      out[c] = better ? i : out[c];
    }
  }
}

void run_arg(Run& r) {
  const Tensor& in = r.in(0);
  const auto& params = r.params<AxisParams>();
  const int axis = static_cast<int>(params.axis < 0 ? params.axis + in.rank : params.axis);
  const i64 n = in.dims[axis], inner = count(in, axis + 1, in.rank), blocks = ceil_div(inner, kColumns);
  const bool last = params.flag & kLast;
  const u64 flip = params.flag & kLeast ? ~u64{0} : 0;
  if (count(r.out(0)) == 0) return;
  r.ranges(count(in, 0, axis) * blocks, max_of(1, 8192 / (n * min_of(inner, kColumns))), [&](i64 begin, i64 end, int) {
    for (i64 task = begin; task < end; ++task) {
      const i64 outer = task / blocks, column = task % blocks * kColumns, first = outer * n * inner + column;
      const i64 columns = min_of(kColumns, inner - column);
      i64* out = r.out(0).as<i64>() + outer * inner + column;
      if (in.dtype == DType::f32) {
        const u32 *bits = in.as<const u32>() + first, flip32 = static_cast<u32>(flip);
        best_rows<u32>(out, n, inner, columns, last, [&](i64 i) { return float_key<u32>(bits[i], 0x7f800000u) ^ flip32; });
      } else {
        best_rows<u64>(out, n, inner, columns, last, [&](i64 i) { return key_of(in.dtype, in.data, first + i) ^ flip; });
      }
    }
  });
}

}  // namespace

extern const OpDef kTopK, kArgMax;
const OpDef kTopK = {"TopK", sizeof(AxisParams), prepare_topk, run_topk};
const OpDef kArgMax = {"ArgMax", sizeof(AxisParams), prepare_arg, run_arg};

}  // namespace edgeort
