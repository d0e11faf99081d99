// libFuzzer: a vocabulary, a line of zeros, and a text. Files and pages are allocations of their exact size.
#include <stdlib.h>
#include <string.h>

#include <memory>

#include "edgeort_text.h"
#include "platform.h"

using namespace edgeort;

namespace {

const uint8_t* vocabulary;
size_t vocabulary_bytes;

}  // namespace

namespace edgeort {

Mapping map_file(const char*, const char** reason) {
  if (!vocabulary_bytes) return *reason = "it is empty", Mapping{};
  auto* file = static_cast<u8*>(malloc(vocabulary_bytes));
  memcpy(file, vocabulary, vocabulary_bytes);
  return {file, vocabulary_bytes, nullptr};
}

void unmap(Mapping& mapping) {
  free(const_cast<u8*>(mapping.data));
  mapping = {};
}

void* allocate_pages(size_t size) { return calloc(1, size); }
void free_pages(void* data, size_t) { free(data); }

}  // namespace edgeort

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return -1;
  const bool cased = data[0] & 1;
  const int capacity = data[1] % 40;
  data += 2, size -= 2;
  const auto* end = static_cast<const uint8_t*>(memchr(data, 0, size));
  vocabulary = data, vocabulary_bytes = end ? static_cast<size_t>(end - data) : size;
  char error[EDGEORT_ERROR_BYTES] = "";
  edgeort_wordpiece* words = edgeort_wordpiece_open("vocab.txt", cased, error);
  if (!words) return error[0] ? 0 : (abort(), 0);
  const size_t bytes = end ? size - vocabulary_bytes - 1 : 0;
  const std::unique_ptr<char[]> text(new char[bytes]);
  if (bytes) memcpy(text.get(), end + 1, bytes);
  const std::unique_ptr<int64_t[]> ids(new int64_t[static_cast<size_t>(capacity)]);
  const int n = edgeort_wordpiece_encode(words, text.get(), bytes, ids.get(), capacity);
  if (capacity < 2 ? n != -1 : n < 2 || n > capacity) abort();
  if (n > 0 && (ids[0] != edgeort_wordpiece_id(words, "[CLS]") || ids[n - 1] != edgeort_wordpiece_id(words, "[SEP]"))) abort();
  edgeort_wordpiece_close(words);
  return 0;
}
