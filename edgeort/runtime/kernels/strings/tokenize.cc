// Tokenizer of com.microsoft. Operands: the strings, a pattern (machine.h), what fills rows up. Parameters: how to split; whether tokens
// stand between marks; the least characters of a token. Tokens show the bytes of their strings.
#include "machine.h"

namespace edgeort {
namespace {

enum Mode : i64 { kCharacters, kTokens, kSeparators };  // of the latter two the pattern is one; the longest match counts

i64 characters(const Text& text) {
  i64 n = 0;
  for (u64 i = 0; i < text.size; ++i) n += (static_cast<u8>(text.data[i]) & 0xc0) != 0x80;
  return n;
}

// Calls token(text) for each, in order.
template <class F>
void tokenize(const Text& text, i64 mode, Machine& pattern, const F& token) {
  u64 begin = 0;  // of what is not yet a token
  for (u64 at = 0; at < text.size;) {
    const char *here = text.data + at, *next = here;
    read_code(next, text.data + text.size);
    const u64 step = static_cast<u64>(next - here);
    if (mode == kCharacters) {
      token(Text{here, step});
      at += step;
      continue;
    }
    const i64 end = pattern.longest(text, at);
    if (end <= static_cast<i64>(at)) {
      at += step;
      continue;
    }
    if (mode == kTokens)
      token(Text{here, static_cast<u64>(end) - at});
    else
      token(Text{text.data + begin, at - begin});
    begin = at = static_cast<u64>(end);
  }
  if (mode == kSeparators) token(Text{text.data + begin, text.size - begin});
}

Status prepare(Prepare& p) {
  EDGEORT_TRY(need(p, 4, 1));
  const Tensor& in = p.in(0);
  const auto& params = p.params<ListParams>();
  const i64 mode = params.values[0], marks = params.values[1] ? 1 : 0, least = params.values[2];
  const Text *texts, *pad;
  Machine pattern;
  if (in.rank == kMaxRank || count(p.in(3)) != 1) return p.fail("its rank is too high, or it has no padding");
  EDGEORT_TRY(texts_of(p, 0, &texts));
  EDGEORT_TRY(machine_of(p, 1, &pattern));
  EDGEORT_TRY(texts_of(p, 3, &pad));
  i64 dims[kMaxRank] = {}, width = 0;
  for (i64 i = 0; i < count(in); ++i) {
    i64 n = 2 * marks;
    tokenize(texts[i], mode, pattern, [&](const Text& token) { n += characters(token) >= least; });
    width = max_of(width, n);
  }
  for (int d = 0; d < in.rank; ++d) dims[d] = in.dims[d];
  dims[in.rank] = width;
  EDGEORT_TRY(p.set(0, DType::string, dims, in.rank + 1));
  auto* out = static_cast<Text*>(p.known(0));
  if (!out) return p.out_of_memory();
  for (i64 i = 0; i < count(in); ++i) {
    Text *to = out + i * width, *end = to + width;
    if (marks) *to++ = {"\x02", 1};
    tokenize(texts[i], mode, pattern, [&](const Text& token) {
      if (characters(token) >= least) *to++ = token;
    });
    if (marks) *to++ = {"\x03", 1};
    while (to < end) *to++ = *pad;
  }
  return Status::ok;
}

}  // namespace

extern const OpDef kTokenizer;
const OpDef kTokenizer = {"Tokenizer", sizeof(ListParams), prepare, nothing};

}  // namespace edgeort
