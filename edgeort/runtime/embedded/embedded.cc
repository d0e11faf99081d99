#include "edgeort_embedded.h"

// The plan is an object of its own (toolchain/embedding.py); the names are for this library alone.
#if defined(_WIN32)
#define EDGEORT_HIDDEN
#else
#define EDGEORT_HIDDEN __attribute__((visibility("hidden")))
#endif

extern "C" {

extern const uint8_t edgeort_plan[] EDGEORT_HIDDEN;
extern const uint64_t edgeort_plan_bytes EDGEORT_HIDDEN;

edgeort_model* edgeort_open_embedded(const edgeort_options* options, char* error) {
  return edgeort_open_memory(edgeort_plan, static_cast<size_t>(edgeort_plan_bytes), options, error);
}

}  // extern "C"
