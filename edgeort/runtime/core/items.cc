#include "items.h"

#include <string.h>

#include "plan.h"
#include "texts.h"

namespace edgeort {

const char* check_item(const edgeort_tensor* t, int depth) {
  if (!t) return "an element is no tensor";
  if (depth > kMostNestedItems) return "tensors are nested too deeply";
  if (t->dtype < 0 || t->dtype > EDGEORT_TENSOR || t->rank < 0 || t->rank > kMaxRank) return "an element's type or rank is unknown";
  u64 elements = 1;
  for (int d = 0; d < t->rank; ++d) {
    if (t->dims[d] < 0) return "an element has a negative dimension";
    if (__builtin_mul_overflow(elements, static_cast<u64>(max_of(t->dims[d], 1)), &elements) || elements > kMostElements)
      return "an element is too large";
  }
  const Tensor made = tensor_of(*t);
  if (elements * size_of(made.dtype) > (size_t{0} - 1) / 4) return "an element is too large";
  if (t->bytes && t->bytes < bytes(made)) return "an element has fewer bytes than its shape needs";
  if (count(made) && !t->data) return "an element has no data";
  if (count(made) && reinterpret_cast<uintptr_t>(t->data) % alignment_of(made.dtype)) return "an element's data is not aligned";
  for (i64 i = 0; made.dtype == DType::tensor && i < count(made); ++i) {
    if (const char* problem = check_item(made.as<const edgeort_item>()[i].tensor, depth + 1)) return problem;
  }
  return nullptr;
}

namespace {

Status make_item(Prepare& p, const Tensor& t, edgeort_item* out, int depth);

Status own(Prepare& p, DType dtype, void* elements, i64 n, int depth) {
  if (dtype == DType::string) {
    auto* texts = static_cast<Text*>(elements);
    return make_texts(p, texts, n, [&](i64 i, TextWriter& writer) { writer.put(texts[i]); });
  }
  auto* items = static_cast<edgeort_item*>(elements);
  for (i64 i = 0; dtype == DType::tensor && i < n; ++i) {
    if (!p.keeps(items[i].tensor)) EDGEORT_TRY(make_item(p, tensor_of(*items[i].tensor), &items[i], depth + 1));
  }
  return Status::ok;
}

Status make_item(Prepare& p, const Tensor& t, edgeort_item* out, int depth) {
  if (depth > kMostNestedItems) return p.fail("tensors are nested too deeply");
  auto* item = static_cast<edgeort_tensor*>(p.keep(sizeof(edgeort_tensor)));
  void* data = p.keep(bytes(t));
  if (!item || !data) return p.out_of_memory();
  if (bytes(t)) memcpy(data, t.data, bytes(t));
  *item = {"", data, bytes(t), static_cast<int32_t>(t.dtype), t.rank, {}};
  for (int d = 0; d < t.rank; ++d) item->dims[d] = t.dims[d];
  out->bits = 0;
  out->tensor = item;
  return own(p, t.dtype, data, count(t), depth);
}

}  // namespace

Status make_item(Prepare& p, const Tensor& tensor, edgeort_item* out) { return make_item(p, tensor, out, 0); }
Status own(Prepare& p, DType dtype, void* elements, i64 n) { return own(p, dtype, elements, n, 0); }

}  // namespace edgeort
