/* edgeort without an operating system: where a model's memory comes from. The bundles for microcontrollers have it.
 *
 *   static _Alignas(64) unsigned char memory[256 * 1024];
 *   edgeort_use_memory(memory, sizeof(memory));
 *   edgeort_model* model = edgeort_open_memory(plan, plan_size, NULL, error);
 *
 * Nothing is taken from a heap. What does not fit is an error of the call that needs it ("out of memory"), after which the model can
 * be used again. The functions here and all others belong to one thread: take a lock around them where tasks share models. */
#ifndef EDGEORT_MEMORY_H
#define EDGEORT_MEMORY_H

#include "edgeort.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Gives all models, from now on, `bytes` of memory from which they take what they need: their state, activations and
 * scratch. Weights stay in the plan. It must outlive them. Returns 0, or nonzero while a model is open. */
EDGEORT_API int edgeort_use_memory(void* memory, size_t bytes);
/* Bytes, of those given, in use, and the most that ever were at once. */
EDGEORT_API size_t edgeort_memory_in_use(void);
EDGEORT_API size_t edgeort_memory_peak(void);

/* Yours to define, where options.profile is wanted: a clock in nanoseconds. The one in the library says 0. */
EDGEORT_API uint64_t edgeort_clock_ns(void);

#ifdef __cplusplus
}
#endif
#endif
