// Sequences and optionals, tensors of tensors (core/items.h). All of the work is done while preparing, with the operands' values: shapes
// depend on them. Elements that another sequence made are shared; what comes from a tensor is copied.
#include "../../core/items.h"
#include "../move/args.h"

namespace edgeort {
namespace {

void nothing(Run&) {}

struct List {
  const edgeort_item* items;
  i64 n;
};

Status list_of(Prepare& p, int input, List* out) {
  const Tensor& t = p.in(input);
  if (t.dtype != DType::tensor || t.rank != 1) return p.fail("input %d must be a sequence", input);
  const void* data;
  EDGEORT_TRY(value_of(p, input, &data));
  *out = {static_cast<const edgeort_item*>(data), t.dims[0]};
  return Status::ok;
}

// The data of an operand, which is waited for.
Status tensor_value(Prepare& p, int input, Tensor* out) {
  const void* data;
  EDGEORT_TRY(value_of(p, input, &data));
  *out = p.in(input);
  out->data = const_cast<void*>(data);
  return Status::ok;
}

// The place in [0, limit) that an operand gives, or `fallback` without one.
Status place_of(Prepare& p, int input, i64 n, i64 limit, i64 fallback, i64* out) {
  *out = fallback;
  if (p.has(input)) {
    Integers place;
    EDGEORT_TRY(integers_of(p, input, 1, &place));
    if (place.n != 1) return p.fail("input %d must be one integer", input);
    *out = place[0] < 0 ? place[0] + n : place[0];
  }
  return *out >= 0 && *out < limit ? Status::ok : p.fail("a sequence of %lld tensors has no place %lld", (long long)n, (long long)*out);
}

// Declares output 0, a sequence of n tensors, which the caller writes.
Status set_list(Prepare& p, i64 n, edgeort_item** out) {
  EDGEORT_TRY(p.set(0, DType::tensor, &n, 1));
  *out = static_cast<edgeort_item*>(p.known(0));
  return *out ? Status::ok : p.out_of_memory();
}

Status prepare_construct(Prepare& p) {
  i64 n = 0;
  edgeort_item* items;
  EDGEORT_TRY(need(p, 0, 1));
  Tensor t;
  for (int i = 0; i < p.inputs(); ++i) {
    if (!p.has(i)) continue;
    EDGEORT_TRY(tensor_value(p, i, &t));
    ++n;
  }
  EDGEORT_TRY(set_list(p, n, &items));
  for (int i = 0; i < p.inputs(); ++i) {
    if (!p.has(i)) continue;
    EDGEORT_TRY(tensor_value(p, i, &t));
    EDGEORT_TRY(make_item(p, t, items++));
  }
  return Status::ok;
}

Status prepare_insert(Prepare& p) {
  EDGEORT_TRY(need(p, 2, 1));
  List list;
  Tensor t;
  i64 place;
  edgeort_item* items;
  EDGEORT_TRY(list_of(p, 0, &list));
  EDGEORT_TRY(tensor_value(p, 1, &t));
  EDGEORT_TRY(place_of(p, 2, list.n, list.n + 1, list.n, &place));
  EDGEORT_TRY(set_list(p, list.n + 1, &items));
  for (i64 i = 0; i < list.n; ++i) items[i < place ? i : i + 1] = list.items[i];
  return make_item(p, t, &items[place]);
}

Status prepare_erase(Prepare& p) {
  EDGEORT_TRY(need(p, 1, 1));
  List list;
  i64 place;
  edgeort_item* items;
  EDGEORT_TRY(list_of(p, 0, &list));
  EDGEORT_TRY(place_of(p, 1, list.n, list.n, list.n - 1, &place));
  EDGEORT_TRY(set_list(p, list.n - 1, &items));
  for (i64 i = 0; i < list.n; ++i) {
    if (i != place) items[i < place ? i : i - 1] = list.items[i];
  }
  return Status::ok;
}

// Without a place, the element of an optional.
Status prepare_at(Prepare& p) {
  EDGEORT_TRY(need(p, 1, 1));
  List list;
  i64 place;
  EDGEORT_TRY(list_of(p, 0, &list));
  EDGEORT_TRY(place_of(p, 1, list.n, list.n, 0, &place));
  const Tensor t = tensor_of(*list.items[place].tensor);
  EDGEORT_TRY(p.set(0, t.dtype, t.dims, t.rank));
  void* data = p.known(0);
  if (!data) return p.out_of_memory();
  if (bytes(t)) memcpy(data, t.data, bytes(t));
  return Status::ok;
}

Status prepare_length(Prepare& p) {
  EDGEORT_TRY(need(p, 1, 1));
  if (p.in(0).dtype != DType::tensor || p.in(0).rank != 1) return p.fail("its input must be a sequence");
  EDGEORT_TRY(p.set(0, DType::i64, nullptr, 0));
  auto* length = static_cast<i64*>(p.known(0));
  if (!length) return p.out_of_memory();
  *length = p.in(0).dims[0];
  return Status::ok;
}

Status prepare_has(Prepare& p) {
  EDGEORT_TRY(need(p, 0, 1));
  if (p.has(0) && (p.in(0).dtype != DType::tensor || p.in(0).rank != 1)) return p.fail("its input must be an optional");
  EDGEORT_TRY(p.set(0, DType::boolean, nullptr, 0));
  auto* has = static_cast<u8*>(p.known(0));
  if (!has) return p.out_of_memory();
  *has = p.has(0) && p.in(0).dims[0] > 0;
  return Status::ok;
}

// The entries of axis [begin, end) of t.
Status make_part(Prepare& p, const Tensor& t, int axis, i64 begin, i64 end, bool squeezed, edgeort_item* out) {
  Tensor part = t;
  part.dims[axis] = end - begin;
  part.data = p.keep(bytes(part));
  if (!part.data) return p.out_of_memory();
  const size_t inner = static_cast<size_t>(count(t, axis + 1, t.rank)) * size_of(t.dtype), row = inner * static_cast<size_t>(end - begin);
  for (i64 i = 0; row && i < count(t, 0, axis); ++i) {
    const u8* from = t.as<const u8>() + static_cast<size_t>(i * t.dims[axis] + begin) * inner;
    memcpy(part.as<u8>() + static_cast<size_t>(i) * row, from, row);
  }
  if (squeezed) {
    for (int d = axis; d + 1 < part.rank; ++d) part.dims[d] = part.dims[d + 1];
    --part.rank;
  }
  return make_item(p, part, out);
}

// axis; flag: parts of one entry lose their axis.
Status prepare_split(Prepare& p) {
  EDGEORT_TRY(need(p, 1, 1));
  const auto& params = p.params<AxisParams>();
  Tensor t;
  int axis;
  i64 one = 1;
  Integers sizes = {&one, 1, true};
  EDGEORT_TRY(axis_of(p, params.axis, p.in(0).rank, &axis));
  if (p.has(1)) EDGEORT_TRY(integers_of(p, 1, i64{1} << 24, &sizes));
  EDGEORT_TRY(tensor_value(p, 0, &t));
  const bool even = !p.has(1) || p.in(1).rank == 0;
  const i64 size = t.dims[axis];
  if (even && sizes[0] < 1) return p.fail("it cannot split into parts of %lld", (long long)sizes[0]);
  if (params.flag && (p.has(1) || !even)) return p.fail("parts of a given size keep their axis");
  const i64 n = even ? size / sizes[0] + (size % sizes[0] != 0) : sizes.n;
  i64 sum = 0;
  for (i64 i = 0; !even && i < n; ++i) {
    if (sizes[i] < 0 || sizes[i] > size - sum) return p.fail("its parts are more than the %lld entries of the axis", (long long)size);
    sum += sizes[i];
  }
  if (!even && sum != size) return p.fail("its parts are %lld of the %lld entries of the axis", (long long)sum, (long long)size);
  edgeort_item* items;
  EDGEORT_TRY(set_list(p, n, &items));
  for (i64 i = 0, begin = 0; i < n; ++i) {
    const i64 end = even ? min_of(size, begin + sizes[0]) : begin + sizes[i];
    EDGEORT_TRY(make_part(p, t, axis, begin, end, params.flag, &items[i]));
    begin = end;
  }
  return Status::ok;
}

// axis; flag: a new one.
Status prepare_concat(Prepare& p) {
  EDGEORT_TRY(need(p, 1, 1));
  const auto& params = p.params<AxisParams>();
  List list;
  EDGEORT_TRY(list_of(p, 0, &list));
  if (!list.n) return p.fail("an empty sequence has no shape");
  const Tensor first = tensor_of(*list.items[0].tensor);
  const int rank = first.rank + (params.flag ? 1 : 0);
  int axis;
  EDGEORT_TRY(axis_of(p, params.axis, rank, &axis));
  if (rank > kMaxRank) return p.fail("its result would have rank %d", rank);
  i64 dims[kMaxRank], all = 0;
  for (i64 i = 0; i < list.n; ++i) {
    const Tensor t = tensor_of(*list.items[i].tensor);
    bool fits = t.dtype == first.dtype && t.rank == first.rank;
    for (int d = 0; fits && d < t.rank; ++d) fits = t.dims[d] == first.dims[d] || (d == axis && !params.flag);
    if (!fits) return p.fail("tensor %lld differs from the first one in type or shape", (long long)i);
    all += params.flag ? 1 : t.dims[axis];
  }
  for (int d = 0; d < rank; ++d) dims[d] = d == axis ? all : first.dims[params.flag && d > axis ? d - 1 : d];
  EDGEORT_TRY(p.set(0, first.dtype, dims, rank));
  auto* out = static_cast<u8*>(p.known(0));
  if (!out) return p.out_of_memory();
  const i64 outer = count(p.out(0), 0, axis), size = static_cast<i64>(size_of(first.dtype));
  const i64 whole = count(p.out(0), axis, rank) * size;
  for (i64 i = 0, at = 0; i < list.n; ++i) {
    const Tensor t = tensor_of(*list.items[i].tensor);
    const i64 row = count(t, axis, t.rank) * size;
    for (i64 o = 0; row && o < outer; ++o) memcpy(out + o * whole + at, t.as<const u8>() + o * row, static_cast<size_t>(row));
    at += row;
  }
  return Status::ok;
}

}  // namespace

extern const OpDef kSequenceConstruct, kSequenceInsert, kSequenceErase, kSequenceAt, kSequenceLength, kOptionalHasElement, kSplitToSequence,
    kConcatFromSequence;
const OpDef kSequenceConstruct = {"SequenceConstruct", 0, prepare_construct, nothing};
const OpDef kSequenceInsert = {"SequenceInsert", 0, prepare_insert, nothing};
const OpDef kSequenceErase = {"SequenceErase", 0, prepare_erase, nothing};
const OpDef kSequenceAt = {"SequenceAt", 0, prepare_at, nothing};
const OpDef kSequenceLength = {"SequenceLength", 0, prepare_length, nothing};
const OpDef kOptionalHasElement = {"OptionalHasElement", 0, prepare_has, nothing};
const OpDef kSplitToSequence = {"SplitToSequence", sizeof(AxisParams), prepare_split, nothing};
const OpDef kConcatFromSequence = {"ConcatFromSequence", sizeof(AxisParams), prepare_concat, nothing};

}  // namespace edgeort
