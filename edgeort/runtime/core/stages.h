// The stages of a stream: for stream.cc, which chooses them, over.cc, which says what they may write over, and strips.cc, which runs them.
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

// Lines of stage i - 1 that lines of stage i read.
static inline Span read_by(const Model& m, const Stream& s, int i, Span lines) {
  const Span all = ops(m, s.stages[i]).reach(state(m, s.stages[i]), lines);
  const i64 height = s.stages[i - 1].height;
  return {min_of(height, max_of(0, all.first)), min_of(height, max_of(0, all.last))};
}

static inline i64 round_down(i64 value, i64 multiple) { return value - value % multiple; }

// The lines that stage i has made when it has made those: whole strips.
static inline Span whole(const Model& m, const Stream& s, int i, Span lines) {
  const i64 strip = ops(m, s.stages[i]).strip;
  return {round_down(lines.first, strip), min_of(s.stages[i].height, round_up(lines.last, strip))};
}

}  // namespace edgeort
