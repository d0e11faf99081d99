// A model: a plan, its tensors, and what prepare decided.
#pragma once
#include "edgeort.h"
#include "op.h"
#include "plan.h"
#include "platform.h"
#include "row_epilogue.h"
#include "slices.h"
#include "state.h"
#include "stream.h"
#include "threads.h"

namespace edgeort {

// Pages that a model gave back, for its next shapes: once the largest were prepared, the system is asked for no more.
class Pages {
 public:
  void* take(size_t size, bool zeroed = true);      // 64-byte aligned; null when memory is out
  void give(void* data, size_t used = ~size_t{0});  // null is allowed; used: bytes from the beginning that may not be zero
  void free();

 private:
  struct Block {
    Block* next;
    size_t size;  // behind the head
    size_t used;  // what may not be zero is before it
  };
  static constexpr size_t kHead = 64;
  Block* free_ = nullptr;
};

// Memory that is freed at once: to the pages, if it has some.
class Bump {
 public:
  Bump() = default;
  explicit Bump(Pages* pages) : pages_(pages) {}
  void* take(size_t size);  // zeroed, 64-byte aligned; null when memory is out
  bool holds(const void* data) const;
  void free();

 private:
  struct Block {
    Block* next;
    size_t size;  // of the whole block
    size_t used;
  };
  Pages* pages_ = nullptr;
  Block* blocks_ = nullptr;
};

// Where a storage's bytes are.
enum class Place : u8 { arena, input, fixed };

// Bytes that one or more tensors share (views, and results that take their operand's place).
struct Storage {
  void* fixed;  // Place::fixed: a constant, a value known at prepare, or of an earlier segment
  size_t bytes;
  size_t offset;    // Place::arena
  i32 first, last;  // node indices between which the bytes are in use, both included
  i32 input;        // Place::input: which
  Place place;
  edgeort_block_kind kind = EDGEORT_BLOCK_TENSOR;  // Place::arena, as are
  i32 owner = -1;                                  // the first tensor in it, or the node whose scratch it is
  i32 tensors = 0;                                 // how many lie in it
  // Place::arena: of a result that lies over what it reads, the storage of that, or -1. Those that are tied so make a group, which has
  // one place; its root, the earliest, has the others behind it.
  i32 over = -1, root = -1, next = -1;
  i64 at = 0;             // bytes from the root's beginning
  i64 low = 0, high = 0;  // of a root: where its group begins and ends, from there
  size_t extent() const { return static_cast<size_t>(high - low); }
  bool same(const Storage& s) const {
    return bytes == s.bytes && first == s.first && last == s.last && place == s.place && over == s.over && at == s.at;
  }
};

// Where the storages of the first segment lay when they were laid out last.
struct Layout {
  Storage* storages;
  i32 count, room;
  size_t arena_bytes;
  void free() {
    if (storages) free_pages(storages, static_cast<size_t>(room) * sizeof(Storage));
    *this = {};
  }
};

static constexpr int kReuses = 3;

struct Model;

struct TensorState {
  Tensor tensor;
  i32 storage;         // -1: not decided
  i32 home;            // the storage that the segment which makes it gave it (later ones have numbers of their own), or -1
  i32 producer;        // node index; -1: an input or a constant
  i32 last_use;        // node index; the number of nodes for an output of the graph; -1: never
  i32 input;           // the graph input whose data it is (itself, or a view), or -1
  i32 view_of;         // tensor, or -1
  i32 reuse[kReuses];  // tensors whose memory it may take, or -1
  i32 uses;            // how many operands and graph outputs it is
  i32 grows_from;      // the graph input whose memory it extends (core/state.h), or -1
  i32 held;            // node index until which a stream reads it; -1: none does
  Slice slice;         // the tensor whose columns it is, by itself or among others; root -1: none
  i64 cut_column;      // where a Split takes it from
  i32 slice_readers;   // how many of its uses take it as a slice
  bool slice_writer;   // its producer can write it as one
  bool value_known;    // its data can be read by prepare
  bool shaped;         // its producer declared it
  bool streamed;       // it exists only line by line
  bool changed;        // since the first segment was prepared: an input's shape, or what follows from it (core/update.h)
  Model* body;         // a constant that is a plan: the model of it
};

struct NodeState {
  const OpDef* op;
  void* state;
  void* lasting;  // as long as the model lives
  size_t scratch_bytes, thread_bytes;
  void* scratch;
  void* thread_scratch;
  const Stream* stream;  // the stream that this node ends
  bool backwards;        // it makes the last lines first
  u64 ns;
  bool skipped;
  u32 within;        // of a skipped one: the node whose run it is part of, plus 1; 0: of none
  bool joins, cuts;  // columns: it may have nothing to copy
  static constexpr int kLineOperands = 32;
  u32 line_operands;  // a bit each: it reads them in the lines that it makes
  bool follows_rows;
  int row_operands;  // of a node that ends rows: where operands begin that it reads row by row; else 0
  u32 row_epilogue;  // the node that runs as this one's rows are done; 0: none
  bool varies;       // an update prepared it (core/update.h)
};

// Nodes [begin, end) that were prepared together. A graph whose shapes do not depend on data has one segment.
struct Segment {
  u32 begin, end;
  Bump memory;
  Bump updated;  // what nodes that vary hold
  u8* arena;
  size_t arena_bytes;
  const Storage* storages;  // how it is laid out
  i32 n_storages;
  bool updatable;  // core/update.h
  int economy;     // of the model as it was planned
};

// Dimensions of two inputs that have one name.
struct SameDim {
  i32 tensor, dim;
  i32 first, first_dim;
};

// Of a model that is opened while its plan arrives (core/arriving.h).
struct Arriving {
  u64* needs;  // of each node, how many bytes of the plan it and all before it read
  u32 next;    // the node that runs next
  bool begun;
};

struct Model {
  Plan plan;
  Arriving arriving;
  Mapping mapping;
  size_t plan_bytes;
  Bump memory;  // lives as long as the model
  Pages pages;
  Layout layout;
  TensorState* tensors;
  SameDim* same_dims;
  u32 n_same_dims;
  NodeState* nodes;
  const OpDef** ops;
  Segment* segments;
  u32 n_segments, max_segments;
  State* states;
  u32 n_states;
  Segment* current;  // while it is prepared
  ThreadPool own_pool;
  ThreadPool* pool;  // a body's is that of the model around it
  int depth;         // how many models are around it
  static constexpr int kMostNested = 8;
  int isa;
  int economy;            // how far streams and kernels save memory at the cost of speed: below kEconomies
  size_t reserved_bytes;  // the arena of the largest inputs, where those are bounded
  bool profile;
  bool prepared;           // the first segment fits the inputs' shapes
  bool running;            // the inputs' data may be looked at
  edgeort_status failure;  // what `error` is about
  char error[EDGEORT_ERROR_BYTES];

  const NodeRecord& record(u32 node) const { return plan.nodes[node]; }
  // The index of an operand's tensor, or -1 when it is absent.
  i32 input(u32 node, int i) const { return i >= 0 && i < plan.nodes[node].inputs ? plan.node_inputs(plan.nodes[node])[i] : -1; }
  i32 output(u32 node, int i) const { return i >= 0 && i < plan.nodes[node].outputs ? plan.node_outputs(plan.nodes[node])[i] : -1; }
  // An operand's tensor; an empty one when it is absent.
  const Tensor& tensor_in(u32 node, int i) const { return operand(input(node, i)); }
  const Tensor& tensor_out(u32 node, int i) const { return operand(output(node, i)); }

  // Each gives Status::error, and tells what `failure` is.
  Status fail(const char* format, ...) __attribute__((format(printf, 2, 3)));
  Status invalid(const char* format, ...) __attribute__((format(printf, 2, 3)));
  Status out_of_memory(const char* format = "out of memory", ...) __attribute__((format(printf, 2, 3)));
  // What the caller is told.
  edgeort_status told(Status status) const {
    return status == Status::ok ? EDGEORT_OK : status == Status::limit ? EDGEORT_OVER_RAM_LIMIT : failure;
  }
  Status prepare();
  Status prepare_node(u32 node);
  Status run();
  // What a run does before its first node, and what it does once the first segment has been run.
  Status begin();
  Status finish();
  void run_node(u32 node);
  void close();
  // Forgets what segments [segment, ...) prepared.
  void reset_from(u32 segment);
  // An input has another shape than the first segment was prepared for.
  void change(i32 tensor) {
    tensors[tensor].changed = true;
    prepared = false;
  }
  size_t arena_bytes() const;  // of bodies, too

 private:
  // Threads read absent operands at the same time: nothing may be written here.
  const Tensor& operand(i32 tensor) const { return tensor < 0 ? kNone : tensors[tensor].tensor; }
  static constexpr Tensor kNone = {};
  const char* unequal_dimension() const;
  Status prepare_segment(u32 begin);
  Status prepare_within_limit(u32 begin);
  void give_back();
  Status plan_segment(u32 begin, u64 limit);
  Status spread_state(const Prepare& prepare, int input);
  Status run_now(u32 node);
  void run_segment(const Segment& segment);
  void bind_inputs();
};

// Reads the plan, of which `here` bytes have come, and binds its operators; isa and pool are set. The data must outlive the model
// unchanged. Where more of it has to be there, it fails and leaves plan.wanted.
Status open_plan(Model& model, const u8* data, size_t size, size_t here);

// Decides the storage of every tensor that nodes [begin, end) produce, lays all of it and the nodes' scratch out in one
// arena, and points tensors and nodes at it. Status::limit, with the size in the segment, when that is above `limit` bytes.
Status plan_memory(Model& model, Segment& segment, u64 limit);

// Block `index` of the arena, as edgeort.h has it; false past the last.
bool block_of(const Model& model, u32 index, edgeort_block* block);

}  // namespace edgeort

struct edgeort_model : edgeort::Model {};
