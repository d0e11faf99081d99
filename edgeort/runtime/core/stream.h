// Row streams: chains of spatially local operators that run strip by strip through rings of a few lines, so that the wide
// tensors between them never exist.
#pragma once
#include "op.h"

namespace edgeort {

// Lines of one image, channels last: a whole tensor, or a ring that holds the last few. Columns [-left, width + right) of a
// line may be read; those outside the image hold what the reader's `beside` says.
struct Lines {
  char* base;  // line 0, column 0
  i64 stride;  // bytes between lines
  i64 ring;    // lines held
  i64 pixel;   // bytes between columns
  i64 left, right;

  template <class T = f32>
  T* line(i64 y) const {
    return reinterpret_cast<T*>(base + y % ring * stride);
  }
  static constexpr i64 kWhole = i64{1} << 62;
  // A tensor, its lines counted through all of its images from `image` on.
  static Lines of(const Tensor& t, i64 image = 0) {
    const i64 pixel = pitch_of(t) * static_cast<i64>(size_of(t.dtype)), line = t.dims[t.rank - 2] * pixel;
    return {t.as<char>() + image * t.dims[t.rank - 3] * line, line, kWhole, pixel, 0, 0};
  }
};

struct Span {
  i64 first, last;
};

// How an operator with one image in and one out works line by line. `state` is the node's.
struct StreamOps {
  // False where this node, as prepared, cannot.
  bool (*can)(const void* state);
  // The input lines that output lines read; they may lie outside the image. Null: reads its whole input, so that it can only
  // begin a stream (and `in` is not for it).
  Span (*reach)(const void* state, Span out);
  // Columns beside the image that its kernel reads, and what every byte of them holds; all come as 0.
  void (*beside)(const void* state, i64* left, i64* right, u8* byte);
  // Scratch bytes to compute `lines` lines at once.
  u64 (*scratch)(const void* state, i64 lines);
  // Computes output lines of image n. None lies in `out` before the one above it; where lines come in strips, that holds within each.
  void (*run)(const Run& r, const Lines& in, const Lines& out, i64 n, Span lines, void* scratch);
  // Lines that it computes together: all calls begin at a multiple, and end at one or at the image's end.
  i64 strip = 1;
  // Pixels of a call that its kernel needs to be fast, where they are many.
  i64 enough = 0;
  // By strips it takes longer than all at once: for where memory is short.
  bool slower = false;
  // It is worth a stream by itself, so that its result lies over what it reads (core/over.cc): a few lines take as long as among more.
  bool alone = false;
};

struct Segment;
struct Stream;

// Ways to stream a graph, from the fastest to the one with the least memory.
static constexpr int kEconomies = 4;

// Chooses the streams of a segment whose nodes are prepared. False when memory is out.
bool plan_streams(Model& model, Segment& segment);
void run_stream(Model& model, const Stream& stream);
// Where the stream's result may lie over a tensor that it reads and nobody reads later: how many bytes from that one's beginning, a
// multiple of kAlignment. False where it reads the tensor in another way than line by line, or they would not overlap.
bool distance_over(const Model& model, const Stream& stream, i32 tensor, i64* distance);

}  // namespace edgeort
