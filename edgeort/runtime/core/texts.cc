#include "texts.h"

namespace edgeort {

bool are_texts(const u8* data, u64 size, u64 elements) {
  if (elements > size / sizeof(u64)) return false;
  const auto* ends = reinterpret_cast<const u64*>(data);
  u64 last = 0;
  for (u64 i = 0; i < elements; ++i) {
    if (ends[i] < last) return false;
    last = ends[i];
  }
  return last == size - elements * sizeof(u64);
}

void read_texts(const u8* data, u64 elements, Text* out) {
  const auto* ends = reinterpret_cast<const u64*>(data);
  const char* bytes = reinterpret_cast<const char*>(ends + elements);
  for (u64 i = 0; i < elements; ++i) {
    const u64 begin = i ? ends[i - 1] : 0;
    out[i] = {bytes + begin, ends[i] - begin};
  }
}

}  // namespace edgeort
