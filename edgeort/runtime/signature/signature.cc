// The C API of edgeort_signature.h.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ed25519.h"
#include "edgeort_signature.h"
#include "model.h"

static_assert(EDGEORT_KEY_BYTES == edgeort::kKeyBytes && EDGEORT_SIGNATURE_BYTES == edgeort::kSignatureBytes);

using namespace edgeort;

namespace {

bool is_signed_by_file(const Mapping& plan, const char* path, const u8* public_key, const char** reason) {
  const size_t length = strlen(path) + sizeof(".sig");
  char* name = static_cast<char*>(malloc(length));
  if (!name) return *reason = "out of memory", false;
  snprintf(name, length, "%s.sig", path);
  Mapping signature = map_file(name, reason);
  free(name);
  *reason = "it is not signed: there is no file of that name with .sig behind it";
  if (!signature.data) return false;
  *reason = "its signature is not that of the key";
  const bool good = signature.size == kSignatureBytes && is_signed(plan.data, plan.size, signature.data, public_key);
  unmap(signature);
  return good;
}

}  // namespace

extern "C" {

int edgeort_verify(const void* data, size_t size, const uint8_t* signature, const uint8_t* public_key) {
  return is_signed(static_cast<const u8*>(data), size, signature, public_key) ? 0 : 1;
}

edgeort_model* edgeort_open_signed(const char* path, const uint8_t* public_key, const edgeort_options* options, char* error) {
  const char* reason = nullptr;
  Mapping plan = map_file(path, &reason);
  if (plan.data && is_signed_by_file(plan, path, public_key, &reason)) {
    edgeort_model* model = edgeort_open_memory(plan.data, plan.size, options, error);
    if (model) return model->mapping = plan, model;
  } else if (error) {
    snprintf(error, EDGEORT_ERROR_BYTES, "%s: %s", path, reason);
  }
  unmap(plan);
  return nullptr;
}

}  // extern "C"
