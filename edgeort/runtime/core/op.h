// What an operator sees: tensors, and the two moments of its life (prepare and run).
//
// Everything declared here is compiled once for the baseline CPU. Files compiled for one ISA level include only
// simd/ and their family's header: an inline function shared between levels could be merged by the linker into
// a copy that an older CPU cannot execute.
#pragma once
#include "q8.h"

namespace edgeort {

enum class Status : u8 {
  ok,
  error,  // the message is in the model
  wait,   // prepare needs the value of an input that only a run can produce
  limit,  // activations need more memory than the plan allows
};

struct Tensor {
  void* data;
  i64 dims[kMaxRank];
  i64 pitch;  // of a slice (core/slices.h): the columns of the tensor that it is cut from; else 0
  u8 rank;
  DType dtype;
  i64 capacity;  // of a state (core/state.h): the rows from one matrix of the last two axes to the next; else 0

  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
};

// Elements of a tensor; a scalar has one.
static inline i64 count(const Tensor& t) {
  i64 n = 1;
  for (int i = 0; i < t.rank; ++i) n *= t.dims[i];
  return n;
}

// Elements of dims[begin, end).
static inline i64 count(const Tensor& t, int begin, int end) {
  i64 n = 1;
  for (int i = begin; i < end; ++i) n *= t.dims[i];
  return n;
}

// Elements from one vector along the last axis to the next.
static inline i64 pitch_of(const Tensor& t) { return t.pitch ? t.pitch : t.dims[t.rank - 1]; }

static inline size_t size_of(DType dtype) { return kDTypeSize[static_cast<u8>(dtype)]; }
// Whether elements point at others: strings, and tensors.
static inline bool points(DType dtype) { return dtype == DType::string || dtype == DType::tensor; }
// What the address of an element is a multiple of.
static inline size_t alignment_of(DType dtype) { return size_of(dtype) > 8 ? 8 : size_of(dtype); }
static inline size_t bytes(const Tensor& t) { return static_cast<size_t>(count(t)) * size_of(t.dtype); }
static inline i64 min_of(i64 a, i64 b) { return a < b ? a : b; }
static inline i64 max_of(i64 a, i64 b) { return a > b ? a : b; }
static inline i64 ceil_div(i64 a, i64 b) { return (a + b - 1) / b; }
static inline i64 round_up(i64 value, i64 multiple) { return ceil_div(value, multiple) * multiple; }

struct Model;
struct StreamOps;
class Body;
class Pages;

// One node while its shapes are inferred and its kernels chosen. Runs when a model is opened with fixed shapes, and
// again when an input's shape changes. Inputs' shapes and dtypes are known; their data only when `value` says so.
class Prepare {
 public:
  Prepare(Model& model, u32 node) : model_(model), node_(node) {}

  int inputs() const;
  int outputs() const;
  bool has(int input) const;
  bool wants(int output) const;
  const Tensor& in(int input) const;
  const Tensor& out(int output) const;

  // The data of an input known before any run (a constant, or computed from shapes alone); null: return wait().
  const void* value(int input) const;
  // Whether `value` has it, or will once it has come.
  bool is_known(int input) const { return address(input) != nullptr; }
  Status wait() const { return Status::wait; }

  // The parameters: `T` is the params struct that the operator's OpDef named (its size was checked at open).
  template <class T>
  const T& params() const {
    return *static_cast<const T*>(raw_params());
  }
  const void* raw_params() const;
  // Bytes that lie behind the params struct of `struct_bytes` bytes (a program's instructions).
  size_t trailing(size_t struct_bytes) const;

  // Declares an output. Fails on a negative dimension, a rank above kMaxRank, or an absurd size.
  Status set(int output, DType dtype, const i64* dims, int rank);
  Status same(int output, int input) { return set(output, in(input).dtype, in(input).dims, in(input).rank); }
  // Declares an output whose value is known now: memory to write it to, kept until the next prepare. When every output
  // of a node is known, it is not run. Null when memory is out, or nobody wants the output.
  void* known(int output);

  // Zeroed memory of this node that `Run::state` returns; freed by the next prepare. Null when memory is out.
  void* state(u64 size);
  template <class T>
  T* state() {
    return static_cast<T*>(state(sizeof(T)));
  }
  // More zeroed memory that lasts until the next prepare. Null when memory is out.
  void* keep(u64 size);
  // Zeroed memory that lasts as long as the model. Null when memory is out.
  void* lasting_memory(u64 size);
  // Where this node may leave some of it for its next prepare; null at first.
  void*& lasting();
  // Whether that is such memory.
  bool keeps(const void* data) const;
  // Where memory that grows comes from (core/body.h).
  Pages& pages() const;
  // Bytes shared by all threads, and bytes of each thread, that hold nothing between nodes.
  void scratch(u64 size);
  void thread_scratch(u64 size);
  // The output is the input's bytes (a reshape).
  void alias(int output, int input);
  // The output may take the input's memory, if nobody reads that later: what lies where an element is written has been read, or copied.
  void overwrite(int output, int input);

  // Slices (core/slices.h): this kernel reads an operand, or writes its output, with any pitch along the last axis. Where the
  // tensor becomes a slice, the node is prepared once more, and finds its pitch.
  void reads_slice(int input);
  void writes_slice(int output);
  // Output 0 is inputs 0, 1, ... side by side along the last axis; or an output is columns of input 0 from `column` on. When
  // all parts are in place the node is not run.
  void joins_columns();
  void cuts_columns(int output, i64 column);

  // Streams (core/stream.h): to compute lines of output 0, this kernel reads an operand of that shape in the same lines alone.
  void reads_lines(int input);

  // States (core/state.h): this kernel reads an operand whose matrices lie Tensor::capacity rows apart. And whether the output is the
  // input's memory, with more rows: then the kernel, whose OpDef grows, writes the new ones alone.
  void reads_state(int input);
  bool grows(int output, int input);

  // Row epilogues (core/row_epilogue.h): this kernel calls Run::end_rows for all rows of output 0, and then reads no more of those
  // rows of operands of that shape, from number `operands` on; or row i of this operator's outputs needs of input 0 row i alone, and
  // its OpDef says how to compute some.
  void ends_rows(int operands);
  void follows_rows();

  // The plan that an operand is.
  Body body(int input) const;

  int threads() const;
  int isa() const;  // the CPU's level: see platform.h
  // Whether the model's constants are so many that caches hold nothing of them from run to run.
  bool outgrows_caches() const;
  // Whether the plan's limit of memory asks for less of it at the cost of speed.
  bool saves_memory() const;

  __attribute__((format(printf, 2, 3))) Status fail(const char* format, ...);
  Status out_of_memory();
  // What the run of a body failed with, in that trip of a loop.
  Status failed(const Body& body, i64 trip = -1);

 private:
  friend struct Model;
  const void* address(int input) const;
  Model& model_;
  u32 node_;
  u64 state_readers_ = 0;  // of the inputs, those that the kernel reads as states: a bit each, the last for all behind
};

// One node while it runs.
class Run {
 public:
  Run(Model& model, u32 node) : model_(model), node_(node) {}

  int inputs() const;
  int outputs() const;
  bool has(int input) const;
  bool wants(int output) const;
  const Tensor& in(int input) const;
  const Tensor& out(int output) const;
  template <class T>
  const T& params() const {
    return *static_cast<const T*>(raw_params());
  }
  const void* raw_params() const;
  template <class T>
  T& state() const {
    return *static_cast<T*>(raw_state());
  }
  void* raw_state() const;
  void* scratch() const;
  void* thread_scratch(int thread) const;
  Body body(int input) const;
  int threads() const;
  bool backwards() const;  // from the last line to the first, so that it begins with what was made last

  // Runs the node's row epilogue, if it has one, for rows [first, last) of output 0, which are whole. From any thread.
  bool has_row_epilogue() const;
  void end_rows(i64 first, i64 last) const;

  // Calls body(task, thread) for every task in [0, tasks), on all threads of the model.
  template <class F>
  void parallel(i64 tasks, const F& body) const {
    parallel_raw(tasks, [](const void* f, i64 task, int thread) { (*static_cast<const F*>(f))(task, thread); }, &body);
  }

  // Cuts [0, total) into ranges of at least `grain` and calls body(begin, end, thread) for each.
  template <class F>
  void ranges(i64 total, i64 grain, const F& body) const {
    const i64 pieces = min_of(ceil_div(total, max_of(grain, 1)), threads() * i64{4});
    parallel(pieces, [&](i64 task, int thread) { body(total * task / pieces, total * (task + 1) / pieces, thread); });
  }

 private:
  void parallel_raw(i64 tasks, void (*call)(const void*, i64, int), const void* body) const;
  Model& model_;
  u32 node_;
};

// An operator of plans. The tables of a library are generated from the operators that its model uses.
struct OpDef {
  const char* name;
  u32 params_bytes;
  Status (*prepare)(Prepare&);
  void (*run)(Run&);
  const StreamOps* stream = nullptr;                            // how it works line by line, where it can
  void (*run_rows)(const Run&, i64 first, i64 last) = nullptr;  // the same for rows, of one that follows_rows
  int bodies = 0;                                               // how many of its first operands are plans (core/body.h)
  bool grows = false;                                           // output 0 may be input 0 with more rows (Prepare::grows)
  bool turns = false;                                           // it goes through its images as Run::backwards says
};

// Leaves prepare with the error of a failed step.
#define EDGEORT_TRY(step)                                 \
  do {                                                    \
    const ::edgeort::Status status_ = (step);             \
    if (status_ != ::edgeort::Status::ok) return status_; \
  } while (0)

}  // namespace edgeort
