#include "constants.h"

#include <string.h>

namespace edgeort {
namespace {

u64 words_of(u64 elements) { return (elements + 63) / 64; }

u64 word(const u8* data, u64 i) {
  u64 bits;
  memcpy(&bits, data + i * sizeof(bits), sizeof(bits));
  return bits;
}

}  // namespace

bool is_sparse(const u8* data, u64 bytes, u64 elements, size_t size) {
  const u64 words = words_of(elements);
  if (words > bytes / sizeof(u64)) return false;
  u64 entries = 0;
  for (u64 i = 0; i < words; ++i) entries += static_cast<u64>(__builtin_popcountll(word(data, i)));
  if (elements % 64 && word(data, words - 1) >> elements % 64) return false;
  return (bytes - words * sizeof(u64)) % size == 0 && (bytes - words * sizeof(u64)) / size == entries;
}

void widen(const u8* data, u64 elements, size_t size, u8* out) {
  const u8* entry = data + words_of(elements) * sizeof(u64);
  for (u64 i = 0; i < words_of(elements); ++i) {
    for (u64 left = word(data, i); left; left &= left - 1, entry += size) {
      memcpy(out + (i * 64 + static_cast<u64>(__builtin_ctzll(left))) * size, entry, size);
    }
  }
}

}  // namespace edgeort
