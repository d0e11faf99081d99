// What the files of this engine share.
#pragma once
#include "adapter.h"
#include "onnxruntime_api.h"

namespace edgeort {

struct Engine {
  ort::Api api;
  ort::PlacementApi placement;
  bool has_placement;
  const char* version;
  ort::Env* env;
  ort::SessionOptions* options;
  ort::Session* session;
  ort::MemoryInfo* memory;
  const char **input_names, **output_names;  // those of the ports
  ort::Value **inputs, **outputs;            // of the last run
};

constexpr int kMaxProviders = 4;

// Whether `status` is success; else its message is the error.
bool ok(Adapted* model, ort::Status* status, const char* what);
// Finds the library, and makes the session that provider.conf asks for.
bool open_session(Adapted* model, const char* path, const Settings& settings);

}  // namespace edgeort
