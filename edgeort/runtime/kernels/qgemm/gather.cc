#include "gather.h"

#include <string.h>

namespace edgeort {
namespace {

// Values of an output beyond which its rows cost more than the short quads.
constexpr i64 kMost = 256;

// A few bytes, for which a call would take longer.
void copy(q8* to, const q8* from, i64 n) {
  for (; n >= 8; n -= 8, to += 8, from += 8) __builtin_memcpy(to, from, 8);
  for (; n > 0; --n) *to++ = *from++;
}

}  // namespace

bool can_gather(const Geometry& g, i64 pitch) {
  return g.groups == 1 && g.taps > 1 && g.dilation[2] == 1 && pitch == g.c_in && g.c_in % kDepth && g.taps * g.c_in <= kMost;
}

void gather_weights(const Geometry& g, i64 panels, const i8* from, i8* to) {
  const i64 quads = ceil_div(g.taps * g.c_in, kDepth);
  for (i64 panel = 0; panel < panels; ++panel, to += quads * kQuad) {
    for (i64 k = 0; k < g.taps * g.c_in; ++k) {
      const i64 channel = k % g.c_in;
      const i8* column = from + channel / kDepth * kQuad + channel % kDepth;
      for (i64 n = 0; n < kPanel; ++n) to[k / kDepth * kQuad + n * kDepth + k % kDepth] = column[n * kDepth];
      if (channel + 1 == g.c_in) from += ceil_div(g.c_in, kDepth) * kQuad;
    }
  }
}

void gather(const Geometry& g, const Lines& in, i64 row, q8 outside, q8* to) {
  i64 n, at[3];
  g.locate(row, &n, at);
  const i64 x = at[2] * g.stride[2] - g.pad[2], width = g.kernel[2], first = min_of(max_of(0, -in.left - x), width),
            last = max_of(first, min_of(width, g.in[2] + in.right - x));
  for (i64 k0 = 0; k0 < g.kernel[0]; ++k0) {
    const i64 z = at[0] * g.stride[0] - g.pad[0] + k0 * g.dilation[0];
    for (i64 k1 = 0; k1 < g.kernel[1]; ++k1, to += width * g.c_in) {
      const i64 y = at[1] * g.stride[1] - g.pad[1] + k1 * g.dilation[1];
      const bool image = z >= 0 && z < g.in[0] && y >= 0 && y < g.in[1];
      if (!image || last - first < width) memset(to, outside, static_cast<size_t>(width * g.c_in));
      if (!image) continue;
      const q8* line = in.line<const q8>((n * g.in[0] + z) * g.in[1] + y);
      copy(to + first * g.c_in, line + (x + first) * g.c_in, (last - first) * g.c_in);
    }
  }
}

}  // namespace edgeort
