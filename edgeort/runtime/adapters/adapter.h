// edgeort.h over the library of another engine. adapter.cc keeps tensors, shapes and errors; one file an engine opens its model
// and runs it. Both go into one library, which finds the engine's own at open (loading.h).
#pragma once
#include "edgeort.h"
#include "loading.h"
#include "settings.h"

namespace edgeort {

constexpr int kNameBytes = 256;

// An input or output. `dims` are as declared, -1 for a free one, which `least` and `most` bound; `now` is what the next run reads
// or the last one made.
struct Port {
  char name[kNameBytes];
  int32_t dtype, rank;
  int64_t dims[EDGEORT_MAX_RANK], least[EDGEORT_MAX_RANK], most[EDGEORT_MAX_RANK];
  edgeort_tensor now;
};

struct Engine;  // what an engine's file keeps of an open model

struct Adapted {
  Engine* engine;
  Port *inputs, *outputs;
  int n_inputs, n_outputs;
  int threads;
  char isa[kNameBytes];  // what runs it, in the engine's words
  edgeort_node* nodes;   // of a profiled model, where the engine tells their times; names are the model's to free
  int n_nodes;
  char error[EDGEORT_ERROR_BYTES];

  // Formats the error. False, so that callers can return it.
  bool fail(const char* format, ...) __attribute__((format(printf, 2, 3)));
  bool allocate_ports(int inputs, int outputs);
  // Adds to the time of node `index` of `count`, which is the first that is told of when its name is new.
  void add_time(int index, int count, const char* name, const char* op, uint64_t ns);
};

// What an engine's file defines. Each says by `fail` why it could not; `close_engine` frees what `open_engine` left, whole or half.
bool open_engine(Adapted* model, const char* path, const Settings& settings, bool profile);
bool run_engine(Adapted* model);
void close_engine(Adapted* model);

}  // namespace edgeort
