// Attention of few rows, such as a decoder's next token: keys and values are read where they lie, once for up to kAtOnce rows.
#pragma once
#include "../../core/dispatch.h"

namespace edgeort {

// `rows` rows of `row_step` floats by a matrix of `count` vectors of `size` floats, `step` floats apart.
struct FewRows {
  const f32* rows;
  i64 count_rows, row_step;
  const f32* vectors;
  i64 count, size, step;
  f32 scale;  // of the vectors; sums ignore it
  // What is read after this: as many vectors, `next_step` floats apart; null: nothing. It comes from memory, as caches hold nothing of
  // it from token to token, and by itself each head's beginning would come late.
  const f32* next;
  i64 next_step;
  f32* out;
  i64 out_step;
};

static constexpr i64 kFewQueries = 16;  // rows for which packing does not pay

struct FewKernels {
  // out[m, j] = sum over d of rows[m, d] * (vectors[j, d] * scale)
  void (*dots)(const FewRows&);
  // out[m, d] = sum over j of rows[m, j] * vectors[j, d]
  void (*sums)(const FewRows&);
};

}  // namespace edgeort
