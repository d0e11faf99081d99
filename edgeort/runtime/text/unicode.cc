#include "unicode.h"

namespace edgeort {
namespace {

struct Range {
  u32 first, last;
};

// first, first + stride, ... first + steps * stride become what is `distance` further.
struct Fold {
  u32 first;
  u16 steps, stride;
  i32 distance;
};

#include "unicode_tables.inc"

// The last entry whose `first` is at most `code`, or null.
template <class Entry, size_t kCount>
const Entry* find(const Entry (&table)[kCount], u32 Entry::* first, u32 code) {
  size_t low = 0, high = kCount;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (table[middle].*first <= code)
      low = middle + 1;
    else
      high = middle;
  }
  return low ? &table[low - 1] : nullptr;
}

template <size_t kCount>
bool within(const Range (&ranges)[kCount], u32 code) {
  const Range* range = find(ranges, &Range::first, code);
  return range && code <= range->last;
}

// Hangul syllables are composed by arithmetic (The Unicode Standard, section 3.12).
constexpr u32 kSyllables = 0xAC00, kSyllableCount = 11172, kLeads = 0x1100, kVowels = 0x1161, kTails = 0x11A7;
constexpr u32 kTailCount = 28, kVowelCount = 21;

}  // namespace

u32 read_utf8(const u8*& at, const u8* end) {
  u32 lead = *at++;
  if (lead < 0x80) return lead;
  int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
  if (lead < 0xC2 || lead > 0xF4 || end - at < more) return kInvalid;
  u32 code = lead & (0x3F >> more);
  for (int i = 0; i < more; ++i) {
    if ((at[i] & 0xC0) != 0x80) return kInvalid;
    code = code << 6 | (at[i] & 0x3F);
  }
  static constexpr u32 kLeast[] = {0, 0x80, 0x800, 0x10000};
  if (code < kLeast[more] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return kInvalid;
  at += more;
  return code;
}

int write_utf8(u32 code, u8* out) {
  if (code < 0x80) {
    out[0] = static_cast<u8>(code);
    return 1;
  }
  int more = code >= 0x10000 ? 3 : code >= 0x800 ? 2 : 1;
  static constexpr u8 kLead[] = {0, 0xC0, 0xE0, 0xF0};
  out[0] = static_cast<u8>(kLead[more] | code >> 6 * more);
  for (int i = 1; i <= more; ++i) out[i] = static_cast<u8>(0x80 | (code >> 6 * (more - i) & 0x3F));
  return more + 1;
}

bool is_control(u32 code) { return within(kControls, code); }
bool is_space(u32 code) { return within(kSpaces, code); }

bool is_cjk(u32 code) {
  static constexpr Range kBlocks[] = {{0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},   {0x20000, 0x2A6DF},
                                      {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F}, {0x2B820, 0x2CEAF}, {0x2F800, 0x2FA1F}};
  return within(kBlocks, code);
}

bool is_punctuation(u32 code) {
  if (code >= 0x80) return within(kPunctuation, code);
  bool letter = (code | 0x20) >= 'a' && (code | 0x20) <= 'z', digit = code >= '0' && code <= '9';
  return code > ' ' && code < 0x7F && !letter && !digit;
}

int fold(u32 code, u32 (&out)[kMaxFolded]) {
  if (within(kMarks, code)) return 0;
  if (code - kSyllables < kSyllableCount) {
    u32 index = code - kSyllables, tail = index % kTailCount;
    out[0] = kLeads + index / (kVowelCount * kTailCount);
    out[1] = kVowels + index / kTailCount % kVowelCount;
    out[2] = kTails + tail;
    return tail ? 3 : 2;
  }
  for (auto& row : kLongFolds) {
    if (row.from != code) continue;
    int n = 0;
    while (n < kMaxFolded && row.to[n]) out[n] = row.to[n], ++n;
    return n;
  }
  const Fold* run = find(kFolds, &Fold::first, code);
  u32 beyond = run ? code - run->first : 0;
  bool folds = run && beyond % run->stride == 0 && beyond / run->stride <= run->steps;
  out[0] = folds ? code + static_cast<u32>(run->distance) : code;
  return 1;
}

}  // namespace edgeort
