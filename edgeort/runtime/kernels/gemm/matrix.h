// The loops around register tiles: blocks of output rows, chunks of columns, then the epilogue while they are in cache.
#pragma once
#include "../../core/op.h"
#include "../elementwise/bound.h"
#include "blocks.h"
#include "weights.h"

namespace edgeort {

struct Matrix : Blocks {
  const GemmKernels* kernels;
  Compression compression;
  bool few;               // rows, and compressed weights: they are read as they are stored
  BoundProgram epilogue;  // over the space [rows..., n]
  f32 lo, hi;             // a clamp done in registers; else -inf, inf
  bool program;           // the epilogue is more than that clamp
  i64 row_step;           // between neighbouring rows in the epilogue's space

  using Rows = TapRows<f32>;

  // Binds the epilogue behind the params struct of `params_bytes` to the output space and picks the kernels.
  Status bind(Prepare& p, const Program& code, size_t params_bytes, const i64* dims, int rank, i64 columns, i64 k);
  // The packed weights from a panel on: input 1.
  Weights weights(const Run& r, i64 panel) const;
  // Cuts the work for `rows` rows whose sums have up to `taps` taps.
  void partition(i64 all_rows, i64 taps, int threads);
  u64 scratch_bytes() const;
  // The part of it that the program takes.
  u64 epilogue_bytes() const { return program ? epilogue.scratch_bytes(n * block) : 0; }
  bool clips() const { return lo > -__builtin_inff() || hi < __builtin_inff(); }

  // Computes all rows on all threads. `fill(first_row, &rows)` sets a block's pointers, offsets, taps, kc and step. `out` is row 0,
  // column 0; its first row is row `epilogue_row` (and its first column `epilogue_column`) of the epilogue's space.
  template <class Fill>
  void multiply(const Run& r, const Weights& weights, const f32* bias, f32* out, i64 out_stride, i64 epilogue_row, i64 epilogue_column,
                const Fill& fill) const {
    r.parallel(tasks(), [&](i64 task, int thread) {
      const Part part = this->part(task);
      range(r, weights, bias, out, out_stride, epilogue_row, epilogue_column, part, r.thread_scratch(thread), fill);
      if (ended && r.has_row_epilogue() && is_last(task)) r.end_rows(part.first, part.last);
    });
  }

  // The same for a part, on this thread; `scratch` has scratch_bytes(). `out` is still row 0, column 0.
  template <class Fill>
  void range(const Run& r, const Weights& weights, const f32* bias, f32* out, i64 out_stride, i64 epilogue_row, i64 epilogue_column,
             const Part& part, void* scratch, const Fill& fill) const {
    groups<f32>(part, scratch, fill, [&](const Rows* entries, i64 count, const Part& at, void* rest) {
      f32 *to = out + at.first * out_stride, *wide = whole_lines(rest);
      rest = static_cast<u8*>(rest) + widened_bytes();
      chunks(entries, count, at, to, out_stride, [&](const Rows& entry, i64 begin, i64 end, f32* y) {
        if (!compression.kernels) return columns(entry, weights.panels, bias, begin, end, y, out_stride);
        compressed_columns(entry, weights, &entry == entries, wide, bias, begin, end, y, out_stride);
      });
      if (!program) return;
      finish(r, epilogue_row + at.first * row_step, epilogue_column, at.last - at.first, at.begin, at.end, to, out_stride, rest);
    });
  }

  // The parts of multiply, for callers with loops of their own: columns [begin, end) of a block of rows, and the program
  // over columns [begin, end) of `count` rows that start at `row`, `column` of its space.
  void columns(const Rows& block_rows, const f32* panels, const f32* bias, i64 begin, i64 end, f32* out, i64 out_stride) const;
  void finish(const Run& r, i64 row, i64 column, i64 count, i64 begin, i64 end, f32* out, i64 out_stride, void* scratch) const;
  // The tile that suits n columns best.
  const TileRow& main_tile() const;

 private:
  // The same by compressed weights; `wide`: where their float32 panels are, which the first block of a chunk makes.
  void compressed_columns(const Rows& block_rows, const Weights& weights, bool first, f32* wide, const f32* bias, i64 begin, i64 end,
                          f32* out, i64 out_stride) const;
  static constexpr uintptr_t kLine = 64;  // of the cache
  static f32* whole_lines(void* scratch) {
    return reinterpret_cast<f32*>((reinterpret_cast<uintptr_t>(scratch) + kLine - 1) / kLine * kLine);
  }
  // Scratch for the float32 panels that compressed weights are widened to at a time.
  i64 widened_bytes() const {
    return compression.kernels && !few ? kLine + min_of(chunk, round_up(n, kPanel)) * (panel_stride / kPanel) * i64{sizeof(f32)} : 0;
  }
};

}  // namespace edgeort
