// provider.conf beside the model: what the builder settled for the engine, `key = value` a line, # begins a comment.
#pragma once

namespace edgeort {

constexpr int kMaxSettings = 64;

struct Settings {
  struct Pair {
    const char *key, *value;
  };
  Pair pairs[kMaxSettings];
  int count;
  char* text;  // what the pairs point into

  // The value of a key, or `otherwise`.
  const char* get(const char* key, const char* otherwise) const;
};

// Reads provider.conf of the folder that `model_path` stands in. False: it is missing or malformed.
bool read_settings(const char* model_path, Settings* settings);
void free_settings(Settings* settings);

}  // namespace edgeort
