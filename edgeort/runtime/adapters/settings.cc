#include "settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

namespace edgeort {
namespace {

constexpr long kMaxBytes = 1 << 16;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r'; }

// The text without spaces at its ends.
char* trimmed(char* begin, char* end) {
  while (begin < end && is_space(*begin)) ++begin;
  while (begin < end && is_space(end[-1])) --end;
  *end = 0;
  return begin;
}

bool parse(Settings* settings) {
  for (char* line = settings->text; line;) {
    char* next = strchr(line, '\n');
    char* end = next ? next : line + strlen(line);
    char* begin = trimmed(line, end);
    line = next ? next + 1 : nullptr;
    if (!*begin || *begin == '#') continue;
    char* equals = strchr(begin, '=');
    if (!equals || equals == begin || settings->count == kMaxSettings) return false;
    char* value = trimmed(equals + 1, equals + 1 + strlen(equals + 1));
    settings->pairs[settings->count++] = {trimmed(begin, equals), value};
  }
  return true;
}

char* read_text(const char* path) {
  FILE* file = fopen(path, "rb");
  if (!file) return nullptr;
  char* text = static_cast<char*>(malloc(kMaxBytes + 1));
  const size_t size = text ? fread(text, 1, kMaxBytes + 1, file) : 0;
  fclose(file);
  if (text && size > kMaxBytes) return free(text), nullptr;
  if (text) text[size] = 0;
  return text;
}

}  // namespace

const char* Settings::get(const char* key, const char* otherwise) const {
  for (int i = 0; i < count; ++i) {
    if (strcmp(pairs[i].key, key) == 0) return pairs[i].value;
  }
  return otherwise;
}

bool read_settings(const char* model_path, Settings* settings) {
  *settings = {};
  char path[4096];
  const char* slash = strrchr(model_path, '/');
  const int folder = slash ? static_cast<int>(slash - model_path) + 1 : 0;
  if (snprintf(path, sizeof(path), "%.*sprovider.conf", folder, model_path) >= static_cast<int>(sizeof(path))) return false;
  settings->text = read_text(path);
  return settings->text && parse(settings);
}

void free_settings(Settings* settings) {
  free(settings->text);
  *settings = {};
}

}  // namespace edgeort
