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
 * Functions that return int (but counts, edgeort_run_of and edgeort_abi) return an edgeort_status: EDGEORT_OK, which is 0, or what went
 * wrong; then, where the model is not const, edgeort_last_error has the reason. After an error the model can be used again.
 *
 * Threads: a model belongs to one thread at a time; different models may run at once, also on the same plan. Those opened from one
 * file share its pages, those opened from one buffer read it where it is; neither writes to it, so that a model for each thread costs its
 * activations and no weights. A run uses worker threads of the model, which do not survive fork(): open models in the child. While
 * a function here runs, its thread rounds to nearest and keeps denormals; then the caller's floating-point mode is back.
 *
 * Memory: strings belong to the model and last until edgeort_close (error messages until the next failure). Nothing that
 * the caller passes is kept or freed, but for the data of inputs, which must stay where it is until it is replaced: the
 * runtime only reads it, and an output may be a view of it.
 *
 * The structs may grow with EDGEORT_ABI: before other calls, compare it with edgeort_abi() of the library. */
#ifndef EDGEORT_H
#define EDGEORT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EDGEORT_ABI 2
#define EDGEORT_MAX_RANK 8
#define EDGEORT_ERROR_BYTES 512

#if defined(_WIN32)
#define EDGEORT_API __declspec(dllexport)
#else
#define EDGEORT_API __attribute__((visibility("default")))
#endif

typedef struct edgeort_model edgeort_model;

/* What a caller can do something about. Others may come: whatever is not EDGEORT_OK is a failure. */
typedef enum {
  EDGEORT_OK = 0,
  EDGEORT_FAILED = 1,           /* the model cannot be run on these inputs, or as this plan and library are */
  EDGEORT_OVER_RAM_LIMIT = 2,   /* activations need more memory than the plan was built for: give a smaller input */
  EDGEORT_INVALID_ARGUMENT = 3, /* the call is wrong: an index, an element type, a shape, an input that was not given */
  EDGEORT_OUT_OF_MEMORY = 4     /* the system has no more memory now */
} edgeort_status;

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
  EDGEORT_BF16 = 12,
  EDGEORT_F8E4M3FN = 13,
  EDGEORT_F8E4M3FNUZ = 14,
  EDGEORT_F8E5M2 = 15,
  EDGEORT_F8E5M2FNUZ = 16,
  EDGEORT_F8E8M0 = 17,
  EDGEORT_F4E2M1 = 18, /* from here on one element a byte, in its low bits; signed integers extend their sign */
  EDGEORT_I4 = 19,
  EDGEORT_U4 = 20,
  EDGEORT_I2 = 21,
  EDGEORT_U2 = 22,
  EDGEORT_STRING = 23, /* elements are edgeort_string */
  EDGEORT_TENSOR = 24  /* elements are edgeort_item */
} edgeort_dtype;

typedef struct {
  const char* name;
  void* data;
  size_t bytes; /* of data; 0 while a dimension is free. Given to edgeort_set_input: 0, or at least what the shape needs */
  int32_t dtype;
  int32_t rank;
  int64_t dims[EDGEORT_MAX_RANK]; /* -1: free */
} edgeort_tensor;

/* UTF-8, not terminated. What an input's strings point at must stay where it is as its data must; what an output's strings point at
 * lasts as long as its data. */
typedef struct {
  const char* data;
  uint64_t bytes;
} edgeort_string;

/* A sequence is a tensor of rank 1 whose elements are tensors; an optional one of none or one element. Both last as strings do. */
typedef union {
  const edgeort_tensor* tensor;
  uint64_t bits; /* an element has 8 bytes on every machine */
} edgeort_item;

typedef struct {
  int32_t threads; /* 0: as many as there are CPUs; 64 at most */
  int32_t profile; /* nonzero: time every node */
  const char* isa; /* NULL: the best that the CPU has; or the name of a lower level, for tests */
} edgeort_options;

typedef struct {
  size_t weights_bytes; /* the plan, mapped */
  size_t arena_bytes;   /* activations and scratch, valid after edgeort_prepare or edgeort_run; of the largest inputs, where bounded */
  size_t states_bytes;  /* of states, with room for all their rows (edgeort_bind_state) */
  int32_t threads;
  int32_t nodes;
  const char* isa;
} edgeort_stats;

typedef struct {
  const char* name;
  const char* op;
  uint64_t ns;     /* total over all runs; 0 unless options.profile */
  int32_t skipped; /* 1: computed at prepare, a view, or part of another node's run */
} edgeort_node;

typedef enum {
  EDGEORT_BLOCK_TENSOR = 0,  /* one tensor or several: views, and results that take an operand's place */
  EDGEORT_BLOCK_SCRATCH = 1, /* of a node, shared by its threads; the lines of tensors that are never whole lie there */
  EDGEORT_BLOCK_THREADS = 2, /* of a node, a part for each thread */
  EDGEORT_BLOCK_BODY = 3     /* the arena of the body of an If or Loop */
} edgeort_block_kind;

typedef struct {
  const char* name; /* of the first tensor in it; of the node whose scratch it is; of the body */
  size_t offset;    /* in the arena; arenas of nodes that are prepared later lie behind each other, those of bodies last */
  size_t bytes;     /* 0: it takes no place in the arena */
  int32_t kind;
  int32_t tensors; /* how many lie in it */
  int32_t first;   /* nodes between which it is in use, both included; the number of nodes: until the end of the run. A result may
                     lie over what the node where it begins is the last to read */
  int32_t last;
} edgeort_block;

/* Opens a plan file (UTF-8; mapped, not copied: the file must not change while the model is open). NULL on failure, with the
 * reason in error[EDGEORT_ERROR_BYTES]. options and error may be NULL. */
EDGEORT_API edgeort_model* edgeort_open(const char* path, const edgeort_options* options, char* error);
/* The same from memory, which must be 64-byte aligned and outlive the model unchanged; any number of models, on any threads, may be
 * opened from it. */
EDGEORT_API edgeort_model* edgeort_open_memory(const void* data, size_t size, const edgeort_options* options, char* error);
/* Frees everything; NULL is allowed. */
EDGEORT_API void edgeort_close(edgeort_model* model);

EDGEORT_API int edgeort_input_count(const edgeort_model* model);
EDGEORT_API int edgeort_output_count(const edgeort_model* model);
/* Describes input `index` of 0 .. count - 1 as the model declares it, with the data of the last edgeort_set_input or NULL. */
EDGEORT_API int edgeort_input(const edgeort_model* model, int index, edgeort_tensor* tensor);
/* What each dimension of an input may be, least and greatest; INT64_MAX: as large as memory allows. Both have room for
 * EDGEORT_MAX_RANK. Where all are bounded, opening the model took the memory that the largest inputs need, and no others need more. */
EDGEORT_API int edgeort_input_bounds(const edgeort_model* model, int index, int64_t* least, int64_t* most);
/* Before the first run an output's shape may be unknown (rank -1). After a run, data points at the result, which the caller
 * may read until the next call of edgeort_prepare, edgeort_run or edgeort_close. */
EDGEORT_API int edgeort_output(const edgeort_model* model, int index, edgeort_tensor* tensor);

/* Gives an input its shape and data; dtype and fixed dimensions must agree, and data is aligned to its elements. The name is
 * not read. */
EDGEORT_API int edgeort_set_input(edgeort_model* model, int index, const edgeort_tensor* tensor);
/* Makes an input go on from an output: Concat(input, new rows) along the last axis but one, such as the keys of earlier tokens and
 * of all. From now on the runtime holds both in one memory with room for `capacity` rows, to which a run adds the new ones, and
 * copies nothing; it begins empty. The caller no longer sets the input. The output's matrices of the last two axes lie `capacity`
 * rows apart, of which the first are there. Dimensions of the input but its rows are fixed, or set before. A run that needs more
 * rows than there is room for fails and changes nothing. */
EDGEORT_API int edgeort_bind_state(edgeort_model* model, int input, int output, int64_t capacity);
/* Keeps the first `rows` rows of every state; 0 makes them empty. */
EDGEORT_API int edgeort_rewind_states(edgeort_model* model, int64_t rows);
/* Infers shapes, picks kernels, allocates. edgeort_run does it when needed. */
EDGEORT_API int edgeort_prepare(edgeort_model* model);
EDGEORT_API int edgeort_run(edgeort_model* model);

EDGEORT_API const char* edgeort_last_error(const edgeort_model* model);
EDGEORT_API int edgeort_get_stats(const edgeort_model* model, edgeort_stats* stats);
EDGEORT_API int edgeort_get_node(const edgeort_model* model, int index, edgeort_node* node);
/* The node whose run a node is part of, after edgeort_prepare or edgeort_run: itself, where it has a run of its own; -1: of none. */
EDGEORT_API int edgeort_run_of(const edgeort_model* model, int index);
/* How the arena is laid out, after edgeort_prepare or edgeort_run; EDGEORT_INVALID_ARGUMENT past the last block. */
EDGEORT_API int edgeort_get_block(const edgeort_model* model, int index, edgeort_block* block);
EDGEORT_API int edgeort_abi(void);

#ifdef __cplusplus
}
#endif
#endif
