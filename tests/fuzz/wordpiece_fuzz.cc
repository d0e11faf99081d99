// wordpiece_fuzz VOCABULARY SEED COUNT   encodes COUNT texts, some of them no UTF-8, in buffers without a byte to spare
// wordpiece_fuzz open FILE...            opens files that may be no vocabulary, and encodes with those that are one
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <memory>
#include <random>

#include "edgeort_text.h"

namespace {

using Random = std::mt19937_64;

int fail(const char* what) {
  fprintf(stderr, "%s\n", what);
  return 1;
}

size_t character(Random& random, char* out) {
  static const unsigned kPlanes[] = {0x80, 0x80, 0x250, 0x3000, 0xE000, 0x110000};
  unsigned code = static_cast<unsigned>(random() % kPlanes[random() % 6]);
  if (code < 0x80) return out[0] = static_cast<char>(code), 1;
  int more = code >= 0x10000 ? 3 : code >= 0x800 ? 2 : 1;
  out[0] = static_cast<char>((0xF00 >> more & 0xFF) | code >> 6 * more);
  for (int i = 1; i <= more; ++i) out[i] = static_cast<char>(0x80 | (code >> 6 * (more - i) & 0x3F));
  return static_cast<size_t>(more) + 1;
}

// Characters, broken ones, and long words.
std::unique_ptr<char[]> make_text(Random& random, size_t& size) {
  char made[4096];
  size_t limit = random() % 2 ? random() % 64 : random() % 4000;
  for (size = 0; size < limit;) {
    size_t begin = size;
    size += random() % 3 ? character(random, made + size) : (made[size] = static_cast<char>('a' + random() % 26), 1);
    if (random() % 16 == 0) made[begin] = static_cast<char>(random());
  }
  std::unique_ptr<char[]> text(new char[size]);
  memcpy(text.get(), made, size);
  return text;
}

bool encodes(const edgeort_wordpiece* words, Random& random) {
  size_t size;
  auto text = make_text(random, size);
  int capacity = static_cast<int>(random() % 2 ? 2 + random() % 20 : size + 2);
  std::unique_ptr<int64_t[]> ids(new int64_t[static_cast<size_t>(capacity)]);
  int n = edgeort_wordpiece_encode(words, text.get(), size, ids.get(), capacity);
  return n >= 2 && n <= capacity && ids[0] == edgeort_wordpiece_id(words, "[CLS]") && ids[n - 1] == edgeort_wordpiece_id(words, "[SEP]");
}

bool encodes(const edgeort_wordpiece* words, uint64_t seed, int count) {
  Random random(seed);
  for (int i = 0; i < count; ++i)
    if (!encodes(words, random)) return false;
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  char error[EDGEORT_ERROR_BYTES] = "";
  bool opens = argc > 2 && !strcmp(argv[1], "open");
  if (argc < 3 || (!opens && argc != 4)) return fail("see the top of wordpiece_fuzz.cc");
  for (int i = opens ? 2 : 1; i < (opens ? argc : 2); ++i) {
    for (int cased : {0, 1}) {
      edgeort_wordpiece* words = edgeort_wordpiece_open(argv[i], cased, error);
      if (!words && (!opens || !error[0])) return fail(error);
      uint64_t seed = opens ? 1 : strtoull(argv[2], nullptr, 10);
      if (words && !encodes(words, seed, opens ? 100 : atoi(argv[3]))) return fail("wrong ids");
      edgeort_wordpiece_close(words);
    }
  }
  return 0;
}
