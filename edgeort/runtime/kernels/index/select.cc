// TopK, ArgMax and ArgMin. NaN counts as the greatest value; of equal values the first one comes first.
#include "select.h"

#include "gather.h"
#include "order.h"

namespace edgeort {

EDGEORT_KERNELS(SelectKernels, index_select)

namespace {

constexpr i64 kMostPacked = 0x7fffffff;  // elements whose positions 32 bits hold

struct Item {
  u64 key;
  i64 at;
};

struct TopKState {
  i64 k;
  int isa;
  bool packed;  // float32, and few enough: an item is its key and, below it, its position in one number
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
  auto* s = p.state<TopKState>();
  if (!s) return p.out_of_memory();
  const i64 n = in.dims[axis];
  *s = {k[0], p.isa(), in.dtype == DType::f32 && n <= kMostPacked};
  if (count(in) == 0) return Status::ok;
  const u64 each = static_cast<u64>(s->k) * (s->packed ? sizeof(u64) : sizeof(Item)) + (s->packed ? static_cast<u64>(n) * sizeof(i32) : 0);
  if (each > (size_t{0} - 1) / 4 / static_cast<size_t>(p.threads())) return p.fail("its k is too large");
  p.thread_scratch(each);
  return Status::ok;
}

// The first k items of a line in order, in `best`. Keys are ascending: the first is wanted most.
void best_items(Item* best, i64 k, const Tensor& in, i64 first, i64 n, i64 stride, u64 flip) {
  const auto before = [](const Item& a, const Item& b) { return a.key != b.key ? a.key < b.key : a.at < b.at; };
  for (i64 i = 0; i < n; ++i) {
    const Item item = {key_of(in.dtype, in.data, first + i * stride) ^ flip, i};
    if (i < k) {
      best[i] = item;
      if (i == k - 1) make_heap(best, k, before);
    } else if (before(item, best[0])) {
      best[0] = item;
      sift(best, k, 0, before);
    }
  }
  sort_heap(best, k, before);
}

u64 pack(i32 key, i64 at) { return static_cast<u64>(static_cast<u32>(key) ^ 0x80000000u) << 32 | static_cast<u64>(at); }
i32 key_of_packed(u64 item) { return static_cast<i32>(static_cast<u32>(item >> 32) ^ 0x80000000u); }

// The same of float32, whose keys are in `keys`.
void best_packed(u64* best, i64 k, const i32* keys, i64 n, const SelectKernels& kernels) {
  const auto before = [](u64 a, u64 b) { return a < b; };
  for (i64 i = 0; i < k; ++i) best[i] = pack(keys[i], i);
  make_heap(best, k, before);
  for (i64 i = k; (i = kernels.below(keys, i, n, key_of_packed(best[0]))) < n; ++i) {
    best[0] = pack(keys[i], i);
    sift(best, k, 0, before);
  }
  sort_heap(best, k, before);
}

void run_topk(Run& r) {
  const Tensor& in = r.in(0);
  const auto& params = r.params<AxisParams>();
  const TopKState& s = r.state<TopKState>();
  const int axis = static_cast<int>(params.axis < 0 ? params.axis + in.rank : params.axis);
  const i64 k = s.k, n = in.dims[axis], inner = count(in, axis + 1, in.rank), size = static_cast<i64>(size_of(in.dtype));
  const u64 flip = params.flag ? ~u64{0} : 0;
  if (k == 0 || count(in) == 0) return;
  const SelectKernels& kernels = index_select(s.isa);
  r.ranges(count(in, 0, axis) * inner, max_of(1, 4096 / n), [&](i64 begin, i64 end, int thread) {
    auto* items = static_cast<Item*>(r.thread_scratch(thread));
    auto* packed = static_cast<u64*>(r.thread_scratch(thread));
    auto* keys = reinterpret_cast<i32*>(packed + k);
    for (i64 line = begin; line < end; ++line) {
      const i64 first = line / inner * n * inner + line % inner, to = line / inner * k * inner + line % inner;
      if (s.packed) {
        kernels.keys(in.as<const f32>() + first, inner, n, static_cast<i32>(flip), keys);
        best_packed(packed, k, keys, n, kernels);
      } else {
        best_items(items, k, in, first, n, inner, flip);
      }
      for (i64 i = 0; i < k; ++i) {
        const i64 at = s.packed ? static_cast<i64>(packed[i] & 0xffffffffu) : items[i].at;
        const i64 source = first + at * inner, target = to + i * inner;
        if (r.wants(1)) r.out(1).as<i64>()[target] = at;
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
  auto* isa = p.state<int>();
  if (!isa) return p.out_of_memory();
  *isa = p.isa();
  return Status::ok;
}

constexpr i64 kColumns = 128;

// The best of n rows in each of `columns` columns; rows lie `stride` elements apart, `key(i)` orders element i.
template <class KeyOf>
void best_rows(i64* out, i64 n, i64 stride, i64 columns, bool last, const KeyOf& key) {
  u64 best[kColumns];
  for (i64 c = 0; c < columns; ++c) best[c] = key(c), out[c] = 0;
  for (i64 i = 1; i < n; ++i) {
    for (i64 c = 0; c < columns; ++c) {
      const u64 k = key(i * stride + c);
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
  const SelectKernels& kernels = index_select(r.state<int>());
  r.ranges(count(in, 0, axis) * blocks, max_of(1, 8192 / (n * min_of(inner, kColumns))), [&](i64 begin, i64 end, int) {
    for (i64 task = begin; task < end; ++task) {
      const i64 outer = task / blocks, column = task % blocks * kColumns, first = outer * n * inner + column;
      const i64 columns = min_of(kColumns, inner - column);
      i64* out = r.out(0).as<i64>() + outer * inner + column;
      if (in.dtype != DType::f32 || n > kMostPacked) {
        best_rows(out, n, inner, columns, last, [&](i64 i) { return key_of(in.dtype, in.data, first + i) ^ flip; });
      } else if (inner == 1) {
        *out = kernels.row(in.as<const f32>() + first, n, static_cast<i32>(flip), last);
      } else {
        kernels.columns(in.as<const f32>() + first, n, inner, columns, static_cast<i32>(flip), last, out);
      }
    }
  });
}

}  // namespace

extern const OpDef kTopK, kArgMax;
const OpDef kTopK = {"TopK", sizeof(AxisParams), prepare_topk, run_topk};
const OpDef kArgMax = {"ArgMax", sizeof(AxisParams), prepare_arg, run_arg};

}  // namespace edgeort
