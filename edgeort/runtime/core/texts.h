// Strings. An element says where its bytes are and how many: bytes never change once they are made, so that what moves elements moves
// strings. An operator that makes bytes does so while it is prepared, with its operands' values, and keeps them until the next prepare.
#pragma once
#include <string.h>

#include "op.h"

namespace edgeort {

struct Text {
  const char* data;
  u64 size;
};
static_assert(sizeof(Text) == 16 && kDTypeSize[static_cast<u8>(DType::string)] == sizeof(Text));

static inline bool same_text(const Text& a, const Text& b) { return a.size == b.size && (!a.size || memcmp(a.data, b.data, a.size) == 0); }

// Below, at or above zero: the order of the bytes, which is that of the code points.
static inline int compare_texts(const Text& a, const Text& b) {
  const u64 n = a.size < b.size ? a.size : b.size;
  const int c = n ? memcmp(a.data, b.data, n) : 0;
  return c ? c : a.size < b.size ? -1 : a.size > b.size;
}

// Counts bytes, or writes them where there is room.
struct TextWriter {
  char* at;
  u64 size;

  void put(const char* data, u64 n) {
    if (at && n) memcpy(at + size, data, n);
    size += n;
  }
  void put(const Text& text) { put(text.data, text.size); }
};

// Makes n strings: write(i, writer) is called twice for each, and says the same both times.
template <class F>
static inline Status make_texts(Prepare& p, Text* out, i64 n, const F& write) {
  TextWriter counter = {nullptr, 0};
  for (i64 i = 0; i < n; ++i) write(i, counter);
  TextWriter writer = {static_cast<char*>(p.keep(counter.size)), 0};
  if (!writer.at) return p.out_of_memory();
  for (i64 i = 0; i < n; ++i) {
    const u64 before = writer.size;
    write(i, writer);
    out[i] = {writer.at + before, writer.size - before};
  }
  return Status::ok;
}

// Strings that an operator may make. Operands of no bytes can ask for any number, and not every system says no to memory that it lacks.
static constexpr i64 kMostTexts = i64{1} << 28;

// Declares an output of strings whose values write(i, writer) makes, as above.
template <class F>
static inline Status set_texts(Prepare& p, int output, const i64* dims, int rank, const F& write) {
  EDGEORT_TRY(p.set(output, DType::string, dims, rank));
  if (!p.wants(output)) return Status::ok;
  const i64 n = count(p.out(output));
  if (n > kMostTexts) return p.fail("output %d would be %lld strings", output, static_cast<long long>(n));
  auto* out = static_cast<Text*>(p.known(output));
  return out ? make_texts(p, out, n, write) : p.out_of_memory();
}

// Whether `size` bytes at `data` are the strings of a constant: where each of them ends, rising to the number of bytes that follow.
bool are_texts(const u8* data, u64 size, u64 elements);
// The strings of what are_texts.
void read_texts(const u8* data, u64 elements, Text* out);

// Gives n strings, or tensors (core/items.h), that lie in memory which will be another's, copies of what they point at, which last
// until the next prepare. Other elements point at nothing.
Status own(Prepare& p, DType dtype, void* elements, i64 n);

}  // namespace edgeort
