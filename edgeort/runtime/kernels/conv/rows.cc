#include "rows.h"

namespace edgeort {

bool cut(const Geometry& g, const Lines& in, i64 row, int rows, Piece* pieces, int* count) {
  bool inside = true;
  *count = 0;
  for (i64 m = 0; m < rows;) {
    i64 n, at[3];
    g.locate(row + m, &n, at);
    Piece& piece = pieces[(*count)++];
    piece = {m,
             min_of(rows - m, g.out[2] - at[2]),
             n,
             at[0] * g.stride[0] - g.pad[0],
             at[1] * g.stride[1] - g.pad[1],
             at[2] * g.stride[2] - g.pad[2]};
    const i64 last = piece.x + (piece.count - 1) * g.stride[2] + (g.kernel[2] - 1) * g.dilation[2];
    inside &= piece.x >= -in.left && last < g.in[2] + in.right;
    m += piece.count;
  }
  return inside;
}

}  // namespace edgeort
