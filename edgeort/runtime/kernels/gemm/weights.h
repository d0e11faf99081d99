// Packed weights of a product: float32 panels (gemm.h), or compressed ones (compressed.h).
#pragma once
#include "../../core/op.h"
#include "compressed.h"

namespace edgeort {

// The inputs of compressed weights; zero points stand behind the scales. Those of a product have the places of one with float32
// weights; those of the program follow.
struct CompressedInputs {
  int weights = 1, scale = 3;
};

// From some panel on. A pointer alone: float32 panels.
struct Weights {
  const f32* panels;
  Compressed compressed = {};
  Weights(const f32* from) : panels(from) {}
  explicit Weights(const Compressed& from) : panels(nullptr), compressed(from) {}
};

// How a product's compressed weights lie; without kernels it has none.
struct Compression {
  const CompressedKernels* kernels;
  CompressedInputs inputs;
  CompressedForm form;
  i64 k, block, blocks;
  i64 panel_bytes;
  bool once;  // Compressed::once

  // Reads and checks the inputs of `panels` panels of `rows` rows.
  Status bind(Prepare& p, const CompressedKernels& from, i64 panels, i64 rows, CompressedInputs places = {});
  // From a panel on.
  Weights weights(const Run& r, i64 panel) const;
  // Columns [begin, end), which begin a panel, of few rows.
  void multiply(const Weights& w, const f32* const* rows, int count, const f32* bias, f32 lo, f32 hi, i64 begin, i64 end, f32* out,
                i64 out_stride) const;
  // float32 panels of columns [begin, end).
  void widen(const Weights& w, i64 begin, i64 end, f32* to) const;

 private:
  Compressed at(const Weights& w, i64 column) const;
};

}  // namespace edgeort
