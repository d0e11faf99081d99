// StringNormalizer of [n] or [1, n]. Operands: the strings, those to leave out, and, each or none, the characters that are compared as
// another one and those that become another one: pairs of int32 in rising order. What remains is one empty string at least.
#include "strings.h"

namespace edgeort {
namespace {

struct Cases {
  const i32 (*pairs)[2] = nullptr;
  i64 n = 0;

  u32 operator()(u32 code) const {
    i64 low = 0, high = n;
    while (low < high) {
      const i64 middle = (low + high) / 2;
      if (static_cast<u32>(pairs[middle][0]) < code)
        low = middle + 1;
      else
        high = middle;
    }
    return low < n && static_cast<u32>(pairs[low][0]) == code ? static_cast<u32>(pairs[low][1]) & 0x1fffff : code;
  }
};

Status cases_of(Prepare& p, int input, Cases* out) {
  if (!p.has(input)) return Status::ok;
  const Tensor& t = p.in(input);
  if (t.dtype != DType::i32 || t.rank != 2 || t.dims[1] != 2) return p.fail("input %d must be pairs of int32", input);
  const void* data;
  EDGEORT_TRY(value_of(p, input, &data));
  *out = {static_cast<const i32(*)[2]>(data), t.dims[0]};
  return Status::ok;
}

bool same(const Text& text, const Text& word, const Cases& cases) {
  if (!cases.n) return same_text(text, word);
  const char *a = text.data, *b = word.data;
  while (a < text.data + text.size && b < word.data + word.size) {
    if (cases(read_code(a, text.data + text.size)) != cases(read_code(b, word.data + word.size))) return false;
  }
  return a == text.data + text.size && b == word.data + word.size;
}

void change(const Text& text, const Cases& cases, TextWriter& writer) {
  if (!cases.n) return writer.put(text);
  for (const char *at = text.data, *end = at + text.size; at < end;) {
    const char* before = at;
    const u32 code = read_code(at, end), becomes = cases(code);
    if (code == becomes) {
      writer.put(before, static_cast<u64>(at - before));
      continue;
    }
    char bytes[4];
    writer.put(bytes, write_code(becomes, bytes));
  }
}

Status prepare(Prepare& p) {
  EDGEORT_TRY(need(p, 2, 1));
  const Tensor& in = p.in(0);
  const Text *texts, *words;
  Cases compared, changed;
  if (in.rank < 1 || in.rank > 2 || (in.rank == 2 && in.dims[0] != 1)) return p.fail("its input must be [n] or [1, n]");
  EDGEORT_TRY(texts_of(p, 0, &texts));
  EDGEORT_TRY(texts_of(p, 1, &words));
  EDGEORT_TRY(cases_of(p, 2, &compared));
  EDGEORT_TRY(cases_of(p, 3, &changed));
  auto* kept = static_cast<i64*>(p.keep(static_cast<u64>(count(in) + 1) * sizeof(i64)));
  if (!kept) return p.out_of_memory();
  i64 n = 0;
  for (i64 i = 0; i < count(in); ++i) {
    bool stopped = false;
    for (i64 w = 0; w < count(p.in(1)) && !stopped; ++w) stopped = same(texts[i], words[w], compared);
    if (!stopped) kept[n++] = i;
  }
  i64 dims[2] = {1, 1};
  dims[in.rank - 1] = max_of(n, 1);
  return set_texts(p, 0, dims, in.rank, [&](i64 i, TextWriter& writer) {
    if (n) change(texts[kept[i]], changed, writer);
  });
}

}  // namespace

extern const OpDef kStringNormalizer;
const OpDef kStringNormalizer = {"StringNormalizer", 0, prepare, nothing};

}  // namespace edgeort
