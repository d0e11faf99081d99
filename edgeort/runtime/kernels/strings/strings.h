// What operators on strings share. All of them work while they are prepared: what they make has a size that data decide.
#pragma once
#include "../../core/texts.h"
#include "../move/args.h"

namespace edgeort {

static inline void nothing(Run&) {}

// The strings of an operand; without elements there is nothing to wait for.
static inline Status texts_of(Prepare& p, int input, const Text** out) {
  if (p.in(input).dtype != DType::string) return p.fail("input %d must be strings", input);
  const void* data;
  EDGEORT_TRY(value_of(p, input, &data));
  *out = static_cast<const Text*>(data);
  return Status::ok;
}

// Reads one character of UTF-8 and moves on; U+FFFD, one byte on, for what is none.
static inline u32 read_code(const char*& at, const char* end) {
  const auto byte = [&](int i) { return static_cast<u8>(at[i]); };
  const u32 first = byte(0);
  const int n = first < 0x80                    ? 1
                : first >= 0xc2 && first < 0xe0 ? 2
                : first >= 0xe0 && first < 0xf0 ? 3
                : first >= 0xf0 && first < 0xf5 ? 4
                                                : 0;
  u32 code = n == 1 ? first : n ? first & (0x7fu >> n) : 0;
  bool valid = n > 0 && end - at >= n;
  for (int i = 1; valid && i < n; ++i) {
    valid = (byte(i) & 0xc0) == 0x80;
    code = code << 6 | (byte(i) & 0x3f);
  }
  constexpr u32 kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  valid = valid && code >= kLeast[n] && code < 0x110000 && (code < 0xd800 || code > 0xdfff);
  at += valid ? n : 1;
  return valid ? code : 0xfffd;
}

// Writes a character, and returns its length.
static inline u64 write_code(u32 code, char out[4]) {
  if (code < 0x80) return out[0] = static_cast<char>(code), 1;
  const int n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  for (int i = n - 1; i > 0; --i, code >>= 6) out[i] = static_cast<char>(0x80 | (code & 0x3f));
  out[0] = static_cast<char>((0xf00 >> n & 0xff) | code);
  return static_cast<u64>(n);
}

}  // namespace edgeort
