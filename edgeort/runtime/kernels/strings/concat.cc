// StringConcat: strings of two operands, which broadcast, joined element by element.
#include "strings.h"

namespace edgeort {
namespace {

Status prepare(Prepare& p) {
  EDGEORT_TRY(need(p, 2, 1));
  const Text* texts[2];
  i64 dims[kMaxRank], strides[2][kMaxRank];
  const int rank = static_cast<int>(max_of(p.in(0).rank, p.in(1).rank));
  for (int d = 0; d < rank; ++d) dims[d] = 1;
  for (int i = 0; i < 2; ++i) {
    const Tensor& t = p.in(i);
    i64 stride = 1;
    for (int d = rank - 1; d >= 0; --d) {
      const int own = d - (rank - t.rank);
      const i64 size = own < 0 ? 1 : t.dims[own];
      strides[i][d] = size == 1 ? 0 : stride;
      stride *= size;
      if (size == 1 || size == dims[d]) continue;
      if (dims[d] != 1) return p.fail("operands do not broadcast: a dimension is %lld and %lld", (long long)dims[d], (long long)size);
      dims[d] = size;
    }
  }
  for (int i = 0; i < 2; ++i) EDGEORT_TRY(texts_of(p, i, &texts[i]));
  return set_texts(p, 0, dims, rank, [&](i64 element, TextWriter& writer) {
    i64 at[2] = {0, 0};
    for (int d = rank - 1; d >= 0; element /= dims[d--]) {
      for (int i = 0; i < 2; ++i) at[i] += element % dims[d] * strides[i][d];
    }
    for (int i = 0; i < 2; ++i) writer.put(texts[i][at[i]]);
  });
}

}  // namespace

extern const OpDef kStringConcat;
const OpDef kStringConcat = {"StringConcat", 0, prepare, nothing};

}  // namespace edgeort
