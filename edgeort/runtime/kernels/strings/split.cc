// StringSplit. Operands: the strings, the delimiter (empty: runs of white space, none of which is left at either end). axis: the most
// cuts, or -1 for any number. Outputs: the parts, with empty strings behind them where others have more, and how many there are.
#include "strings.h"

namespace edgeort {
namespace {

bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Where `delimiter` occurs first in text[from, ...), or its size.
u64 find(const Text& text, u64 from, const Text& delimiter) {
  for (u64 i = from; i + delimiter.size <= text.size; ++i) {
    if (memcmp(text.data + i, delimiter.data, delimiter.size) == 0) return i;
  }
  return text.size;
}

// Calls part(text) for each, in order.
template <class F>
void split_blanks(const Text& text, i64 most, const F& part) {
  u64 at = 0;
  for (i64 cuts = 0;; ++cuts) {
    while (at < text.size && is_blank(text.data[at])) ++at;
    if (at == text.size) return;
    u64 end = at;
    while (end < text.size && !is_blank(text.data[end])) ++end;
    if (cuts == most) end = text.size;
    part(Text{text.data + at, end - at});
    at = end;
  }
}

template <class F>
void split(const Text& text, const Text& delimiter, i64 most, const F& part) {
  if (!delimiter.size) return split_blanks(text, most, part);
  u64 at = 0;
  for (i64 cuts = 0;; ++cuts) {
    const u64 end = cuts == most ? text.size : find(text, at, delimiter);
    part(Text{text.data + at, end - at});
    if (end == text.size) return;
    at = end + delimiter.size;
  }
}

Status prepare(Prepare& p) {
  EDGEORT_TRY(need(p, 2, 0));
  const Tensor& in = p.in(0);
  const i64 most = p.params<AxisParams>().axis;
  const Text *texts, *delimiter;
  if (count(p.in(1)) != 1) return p.fail("its delimiter must be one string");
  if (in.rank == kMaxRank) return p.fail("its input has rank %d; the limit is %d", in.rank, kMaxRank - 1);
  EDGEORT_TRY(texts_of(p, 0, &texts));
  EDGEORT_TRY(texts_of(p, 1, &delimiter));
  EDGEORT_TRY(p.set(1, DType::i64, in.dims, in.rank));
  auto* lengths = p.wants(1) ? static_cast<i64*>(p.known(1)) : nullptr;
  if (p.wants(1) && !lengths) return p.out_of_memory();
  i64 dims[kMaxRank] = {}, width = 0;
  for (i64 i = 0; i < count(in); ++i) {
    i64 n = 0;
    split(texts[i], *delimiter, most, [&](const Text&) { ++n; });
    width = max_of(width, n);
    if (lengths) lengths[i] = n;
  }
  if (!p.wants(0)) return Status::ok;
  for (int d = 0; d < in.rank; ++d) dims[d] = in.dims[d];
  dims[in.rank] = width;
  EDGEORT_TRY(p.set(0, DType::string, dims, in.rank + 1));
  auto* parts = static_cast<Text*>(p.known(0));  // zeroed: empty strings
  if (!parts) return p.out_of_memory();
  for (i64 i = 0; i < count(in); ++i) {
    Text* to = parts + i * width;
    split(texts[i], *delimiter, most, [&](const Text& part) { *to++ = part; });
  }
  return Status::ok;
}

}  // namespace

extern const OpDef kStringSplit;
const OpDef kStringSplit = {"StringSplit", sizeof(AxisParams), prepare, nothing};

}  // namespace edgeort
