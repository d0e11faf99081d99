// Col2Im: blocks of columns, added up where they overlap. Each element's sum runs over the taps of a block in order.
#include <string.h>

#include "args.h"

namespace edgeort {
namespace {

constexpr int kMostSpatial = kMaxRank - 2;
constexpr i64 kMost = i64{1} << 31;

struct State {
  int spatial;
  i64 image[kMostSpatial], block[kMostSpatial], dilation[kMostSpatial], pad[kMostSpatial], stride[kMostSpatial];
  i64 steps[kMostSpatial];  // positions of the block along each axis
  i64 taps, positions, pixels;
};

// Input `index`: `n` integers in [least, 2^31).
Status list(Prepare& p, int index, i64 n, i64 least, i64* out) {
  Integers values;
  EDGEORT_TRY(integers_of(p, index, 2 * kMostSpatial, &values));
  if (values.n != n) return p.fail("input %d has %lld integers, not %lld", index, (long long)values.n, (long long)n);
  for (i64 i = 0; i < n; ++i) {
    out[i] = values[i];
    if (out[i] < least || out[i] >= kMost) return p.fail("input %d is out of range", index);
  }
  return Status::ok;
}

Status read_lists(Prepare& p, State& s) {
  const i64 n = s.spatial;
  i64 pads[2 * kMostSpatial];
  EDGEORT_TRY(list(p, 1, n, 1, s.image));
  EDGEORT_TRY(list(p, 2, n, 1, s.block));
  EDGEORT_TRY(list(p, 3, n, 1, s.dilation));
  EDGEORT_TRY(list(p, 4, 2 * n, 0, pads));
  EDGEORT_TRY(list(p, 5, n, 1, s.stride));
  s.taps = s.positions = s.pixels = 1;
  bool fits = true;
  for (i64 d = 0; d < n; ++d) {
    s.pad[d] = pads[d];
    const i64 room = s.image[d] + pads[d] + pads[n + d] - s.dilation[d] * (s.block[d] - 1) - 1;
    if (room < 0) return p.fail("its block is larger than its image");
    s.steps[d] = room / s.stride[d] + 1;
    fits &= !__builtin_mul_overflow(s.taps, s.block[d], &s.taps) && !__builtin_mul_overflow(s.positions, s.steps[d], &s.positions) &&
            !__builtin_mul_overflow(s.pixels, s.image[d], &s.pixels);
  }
  return fits ? Status::ok : p.fail("its image is too large");
}

// Inputs: columns [n, channels * taps, positions], then the image's and the block's sizes, dilations, pads, strides.
Status prepare(Prepare& p) {
  EDGEORT_TRY(need(p, 6, 1));
  const Tensor& in = p.in(0);
  if (in.dtype != DType::f32 || in.rank != 3) return p.fail("its columns must be float32 of rank 3");
  auto* s = p.state<State>();
  if (!s) return p.out_of_memory();
  s->spatial = static_cast<int>(min_of(count(p.in(1)), kMostSpatial));
  EDGEORT_TRY(read_lists(p, *s));
  if (in.dims[1] % s->taps || in.dims[2] != s->positions) return p.fail("its columns do not fit its image and block");
  i64 dims[kMaxRank] = {in.dims[0], in.dims[1] / s->taps};
  for (int d = 0; d < s->spatial; ++d) dims[2 + d] = s->image[d];
  return p.set(0, DType::f32, dims, 2 + s->spatial);
}

// Adds one tap's value of every position to its pixel.
void add_tap(const State& s, i64 tap, const f32* in, f32* out) {
  i64 offset[kMostSpatial];
  for (int d = s.spatial - 1; d >= 0; tap /= s.block[d--]) offset[d] = tap % s.block[d] * s.dilation[d] - s.pad[d];
  for (i64 i = 0; i < s.positions; ++i) {
    i64 at = 0, stride = 1, rest = i;
    bool inside = true;
    for (int d = s.spatial - 1; d >= 0; rest /= s.steps[d--]) {
      const i64 x = rest % s.steps[d] * s.stride[d] + offset[d];
      inside &= x >= 0 && x < s.image[d];
      at += x * stride;
      stride *= s.image[d];
    }
    if (inside) out[at] += in[i];
  }
}

void run(Run& r) {
  const State& s = r.state<State>();
  const Tensor& out = r.out(0);
  if (count(out) == 0) return;
  r.parallel(out.dims[0] * out.dims[1], [&](i64 plane, int) {
    f32* to = out.as<f32>() + plane * s.pixels;
    memset(to, 0, static_cast<size_t>(s.pixels) * sizeof(f32));
    const f32* from = r.in(0).as<const f32>() + plane * s.taps * s.positions;
    for (i64 tap = 0; tap < s.taps; ++tap) add_tap(s, tap, from + tap * s.positions, to);
  });
}

}  // namespace

extern const OpDef kCol2Im;
const OpDef kCol2Im = {"Col2Im", 0, prepare, run};

}  // namespace edgeort
