// WordPiece as BERT has it (Devlin et al. 2019; https://github.com/google-research/bert, tokenization.py): controls are left out,
// text is split at spaces and around punctuation and CJK characters, and each word into the longest tokens from the left.
#include <stdio.h>
#include <string.h>

#include "edgeort_text.h"
#include "platform.h"
#include "unicode.h"

using namespace edgeort;

namespace {

constexpr int kMaxWordChars = 100;  // a longer word is unknown
constexpr int kMaxWordBytes = kMaxWordChars * kMaxUtf8;
constexpr size_t kMaxTokens = size_t{1} << 24;

struct Token {
  u32 begin, length;  // of the file
};

u32 hash(const u8* text, size_t length, u32 state = 2166136261u) {  // FNV-1a
  for (size_t i = 0; i < length; ++i) state = (state ^ text[i]) * 16777619u;
  return state;
}

constexpr u8 kContinued[] = {'#', '#'};  // before what does not begin a word

}  // namespace

struct edgeort_wordpiece {
  Mapping file;
  size_t size;  // of this allocation: the tokens and the slots follow
  Token* tokens;
  u32* slots;  // of a hash table: an id + 1, or 0; a power of two, at most half of them taken
  u32 count, mask;
  i64 unknown, first, last;
  bool cased;

  // The id of prefix + text, or -1.
  i64 find(const u8* text, size_t length, const u8* prefix = nullptr, size_t prefixed = 0) const {
    u32 at = hash(text, length, hash(prefix, prefixed)) & mask;
    for (; slots[at]; at = (at + 1) & mask) {
      const Token& token = tokens[slots[at] - 1];
      const u8* own = file.data + token.begin;
      if (token.length == prefixed + length && !memcmp(own, prefix ? prefix : own, prefixed) && !memcmp(own + prefixed, text, length))
        return slots[at] - 1;
    }
    return -1;
  }
};

namespace {

// The tokens of the file, or only their number: a line each, without its line end.
u32 split(const Mapping& file, Token* tokens) {
  u32 count = 0;
  for (size_t begin = 0; begin < file.size; ++count) {
    const void* found = memchr(file.data + begin, '\n', file.size - begin);
    size_t end = found ? static_cast<size_t>(static_cast<const u8*>(found) - file.data) : file.size;
    size_t stop = end > begin && file.data[end - 1] == '\r' ? end - 1 : end;
    if (tokens) tokens[count] = {static_cast<u32>(begin), static_cast<u32>(stop - begin)};
    begin = end + 1;
  }
  return count;
}

void fill(edgeort_wordpiece& words) {
  split(words.file, words.tokens);
  for (u32 id = 0; id < words.count; ++id) {
    const Token& token = words.tokens[id];
    u32 at = hash(words.file.data + token.begin, token.length) & words.mask;
    while (words.slots[at]) at = (at + 1) & words.mask;
    words.slots[at] = id + 1;
  }
  auto special = [&](const char* name) { return words.find(reinterpret_cast<const u8*>(name), strlen(name)); };
  words.unknown = special("[UNK]"), words.first = special("[CLS]"), words.last = special("[SEP]");
}

edgeort_wordpiece* make(Mapping file, const char*& reason) {
  u32 count = split(file, nullptr);
  if (count > kMaxTokens) return reason = "it has too many lines", nullptr;
  u32 slots = 2;
  while (slots < 2 * count) slots *= 2;
  size_t size = sizeof(edgeort_wordpiece) + count * sizeof(Token) + slots * sizeof(u32);
  auto* words = static_cast<edgeort_wordpiece*>(allocate_pages(size));
  if (!words) return reason = "out of memory", nullptr;
  words->file = file, words->size = size, words->count = count, words->mask = slots - 1;
  words->tokens = reinterpret_cast<Token*>(words + 1);
  words->slots = reinterpret_cast<u32*>(words->tokens + count);
  fill(*words);
  if (words->unknown >= 0 && words->first >= 0 && words->last >= 0) return words;
  free_pages(words, size);
  return reason = "it lacks [UNK], [CLS] or [SEP]: it is no WordPiece vocabulary", nullptr;
}

// Takes characters, and writes the ids of a word when it ends.
class Encoder {
 public:
  Encoder(const edgeort_wordpiece& words, i64* ids, int capacity) : words_(words), ids_(ids), capacity_(capacity - 1) { push(words.first); }

  bool full() const { return count_ == capacity_; }

  void character(u32 code) {
    if (is_control(code) || code == 0xFFFD) return;
    if (is_space(code)) return end_word();
    bool alone = is_cjk(code);
    u32 folded[kMaxFolded] = {code};
    int n = words_.cased ? 1 : fold(code, folded);
    if (alone) end_word();
    for (int i = 0; i < n; ++i) append(folded[i]);
    if (alone) end_word();
  }

  int finish() {
    end_word();
    ids_[count_++] = words_.last;
    return count_;
  }

 private:
  void append(u32 code) {
    bool alone = is_punctuation(code);
    if (alone) end_word();
    if (chars_++ < kMaxWordChars) bytes_ += write_utf8(code, word_ + bytes_);
    if (alone) end_word();
  }

  void push(i64 id) {
    if (!full()) ids_[count_++] = id;
  }

  // The longest tokens from the left; a rest without a token makes the whole word unknown.
  void end_word() {
    int start = count_;
    bool known = chars_ <= kMaxWordChars;
    for (int begin = 0; known && begin < bytes_;) {
      i64 id = -1;
      int end = bytes_;
      for (; end > begin; --end) {
        if (end < bytes_ && (word_[end] & 0xC0) == 0x80) continue;  // within a character
        id = words_.find(word_ + begin, static_cast<size_t>(end - begin), kContinued, begin ? sizeof kContinued : 0);
        if (id >= 0) break;
      }
      known = id >= 0;
      if (known) push(id);
      begin = end;
    }
    if (!known) {
      count_ = start;
      push(words_.unknown);
    }
    chars_ = bytes_ = 0;
  }

  const edgeort_wordpiece& words_;
  i64* ids_;
  int capacity_, count_ = 0;
  int chars_ = 0, bytes_ = 0;
  u8 word_[kMaxWordBytes];
};

}  // namespace

extern "C" {

edgeort_wordpiece* edgeort_wordpiece_open(const char* path, int cased, char* error) {
  const char* reason = nullptr;
  Mapping file = map_file(path, &reason);
  edgeort_wordpiece* words = nullptr;
  if (file.data) words = file.size >> 32 ? (reason = "it is too large", nullptr) : make(file, reason);
  if (words) {
    words->cased = cased;
    return words;
  }
  if (file.data) unmap(file);
  if (error) snprintf(error, EDGEORT_ERROR_BYTES, "%s: %s", path, reason);
  return nullptr;
}

void edgeort_wordpiece_close(edgeort_wordpiece* words) {
  if (!words) return;
  unmap(words->file);
  free_pages(words, words->size);
}

int edgeort_wordpiece_encode(const edgeort_wordpiece* words, const char* text, size_t bytes, int64_t* ids, int capacity) {
  if (capacity < 2) return -1;
  Encoder encoder(*words, ids, capacity);
  auto* at = reinterpret_cast<const u8*>(text);
  for (const u8* end = at + bytes; at < end && !encoder.full();) {
    u32 code = read_utf8(at, end);
    if (code != kInvalid) encoder.character(code);
  }
  return encoder.finish();
}

int64_t edgeort_wordpiece_id(const edgeort_wordpiece* words, const char* token) {
  return words->find(reinterpret_cast<const u8*>(token), strlen(token));
}

}  // extern "C"
