/* edgeort: run a compiled model. C99, no dependencies.
 *
 *   char error[EDGEORT_ERROR_BYTES];
 *   edgeort_model* model = edgeort_open("model.plan", NULL, error);
 *   edgeort_tensor x;
 *   edgeort_input(model, 0, &x);            // name, dtype, shape; -1 marks a free dimension
 *   x.data = pixels;                        // read in place by the run
 *   edgeort_set_input(model, 0, &x);
 *   edgeort_run(model);
 *   edgeort_tensor y;
 *   edgeort_output(model, 0, &y);           // y.data holds until the next run
 *   edgeort_close(model);
 *
 * Functions that return int return 0, or nonzero with the reason in edgeort_last_error. A model belongs to one thread at
 * a time; different models may run at once. */
#ifndef EDGEORT_H
#define EDGEORT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EDGEORT_ABI 1
#define EDGEORT_MAX_RANK 8
#define EDGEORT_ERROR_BYTES 512

#if defined(_WIN32)
#define EDGEORT_API __declspec(dllexport)
#else
#define EDGEORT_API __attribute__((visibility("default")))
#endif

typedef struct edgeort_model edgeort_model;

typedef enum {
  EDGEORT_F32 = 0,
  EDGEORT_U8 = 1,
  EDGEORT_I8 = 2,
  EDGEORT_U16 = 3,
  EDGEORT_I16 = 4,
  EDGEORT_I32 = 5,
  EDGEORT_I64 = 6,
  EDGEORT_BOOL = 7,
  EDGEORT_F16 = 8,
  EDGEORT_F64 = 9,
  EDGEORT_U32 = 10,
  EDGEORT_U64 = 11,
  EDGEORT_BF16 = 12
} edgeort_dtype;

typedef struct {
  const char* name;
  void* data;
  size_t bytes; /* of data; 0 while a dimension is free */
  int32_t dtype;
  int32_t rank;
  int64_t dims[EDGEORT_MAX_RANK]; /* -1: free */
} edgeort_tensor;

typedef struct {
  int32_t threads; /* 0: as many as there are CPUs */
  int32_t profile; /* nonzero: time every node */
  const char* isa; /* NULL: the best that the CPU has; or the name of a lower level, for tests */
} edgeort_options;

typedef struct {
  size_t weights_bytes; /* the plan, mapped */
  size_t arena_bytes;   /* activations and scratch, valid after edgeort_prepare or edgeort_run */
  int32_t threads;
  int32_t nodes;
  const char* isa;
} edgeort_stats;

typedef struct {
  const char* name;
  const char* op;
  uint64_t ns;     /* total over all runs; 0 unless options.profile */
  int32_t skipped; /* 1: computed at prepare, or a view */
} edgeort_node;

/* Opens a plan file (mapped, not copied). NULL on failure, with the reason in error[EDGEORT_ERROR_BYTES]. */
EDGEORT_API edgeort_model* edgeort_open(const char* path, const edgeort_options* options, char* error);
/* The same from memory, which must be 64-byte aligned and outlive the model. */
EDGEORT_API edgeort_model* edgeort_open_memory(const void* data, size_t size, const edgeort_options* options, char* error);
EDGEORT_API void edgeort_close(edgeort_model* model);

EDGEORT_API int edgeort_input_count(const edgeort_model* model);
EDGEORT_API int edgeort_output_count(const edgeort_model* model);
EDGEORT_API int edgeort_input(const edgeort_model* model, int index, edgeort_tensor* tensor);
/* Before the first run an output's shape may be unknown (rank -1). After a run, data points at the result. */
EDGEORT_API int edgeort_output(const edgeort_model* model, int index, edgeort_tensor* tensor);

/* Gives an input its shape and data; dtype and fixed dimensions must agree. The data is read by edgeort_run. */
EDGEORT_API int edgeort_set_input(edgeort_model* model, int index, const edgeort_tensor* tensor);
/* Infers shapes, picks kernels, allocates. edgeort_run does it when needed. */
EDGEORT_API int edgeort_prepare(edgeort_model* model);
EDGEORT_API int edgeort_run(edgeort_model* model);

EDGEORT_API const char* edgeort_last_error(const edgeort_model* model);
EDGEORT_API int edgeort_get_stats(const edgeort_model* model, edgeort_stats* stats);
EDGEORT_API int edgeort_get_node(const edgeort_model* model, int index, edgeort_node* node);
EDGEORT_API int edgeort_abi(void);

#ifdef __cplusplus
}
#endif
#endif
