// The stages of a stream: for stream.cc, which chooses them, and strips.cc, which runs them.
#pragma once
#include "model.h"

namespace edgeort {

static constexpr int kMaxStages = 8;
// Of a thread's part of an image: neighbours compute the lines at their seam twice.
static constexpr i64 kLeastLines = 4;

struct Stream {
  struct Stage {
    u32 node;
    i64 height, width;  // of its output
    i64 step;           // output lines of one call
    i64 ring;           // output lines kept; the last stage writes its tensor
    i64 pixel;          // bytes
    i64 left, right;    // columns beside the image that the next stage reads
    u8 outside;         // every byte of those
    u64 offset;         // of its ring in the scratch
    i64 line() const { return (left + width + right) * pixel; }
  };
  Stage stages[kMaxStages];
  int count;
  i64 batch;
  u64 scratch_offset;
  bool one_thread;
  bool backwards;  // from the last line to the first
};

static inline const StreamOps& ops(const Model& m, const Stream::Stage& stage) { return *m.nodes[stage.node].op->stream; }
static inline const void* state(const Model& m, const Stream::Stage& stage) { return m.nodes[stage.node].state; }

}  // namespace edgeort
