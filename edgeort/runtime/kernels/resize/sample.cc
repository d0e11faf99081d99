// GridSample and AffineGrid, channels first, two or three spatial dimensions. Baseline code: multiplications and additions
// are rounded one by one, in the order written here.
#include "../../core/op.h"

namespace edgeort {
namespace {

enum Mode { kNearest, kLinear, kCubic };
enum Padding { kZeros, kBorder, kReflection };

struct State {
  int spatial;
  i64 in[3], pixels, channels, batch;  // in: padded to three at the front; pixels: sampled places of an image
  Mode mode;
  Padding padding;
  bool align_corners;
};

Status prepare(Prepare& p) {
  const auto& params = p.params<AxisParams>();
  if (!p.has(0) || !p.has(1) || !p.wants(0)) return p.fail("it needs data, a grid and an output");
  const Tensor& x = p.in(0);
  const Tensor& grid = p.in(1);
  if (x.dtype != DType::f32 || grid.dtype != DType::f32) return p.fail("its inputs must be float32");
  if (x.rank < 4 || x.rank > 5 || grid.rank != x.rank) return p.fail("its inputs must have rank 4 or 5");
  if (params.axis < 0 || params.axis > kCubic || params.flag < 0 || (params.flag & 3) > kReflection) return p.fail("its mode is unknown");
  auto* s = p.state<State>();
  if (!s) return p.out_of_memory();
  s->spatial = x.rank - 2;
  if (grid.dims[grid.rank - 1] != s->spatial || grid.dims[0] != x.dims[0]) return p.fail("its grid does not fit its data");
  Tensor y = x;
  s->in[0] = 1;
  for (int d = 0; d < s->spatial; ++d) {
    s->in[3 - s->spatial + d] = x.dims[2 + d];
    y.dims[2 + d] = grid.dims[1 + d];
  }
  s->batch = x.dims[0];
  s->channels = x.dims[1];
  s->pixels = count(grid, 1, grid.rank - 1);
  s->mode = static_cast<Mode>(params.axis);
  s->padding = static_cast<Padding>(params.flag & 3);
  s->align_corners = params.flag & 4;
  if (count(x) == 0 && count(y) > 0) return p.fail("it samples an empty image");
  return p.set(0, DType::f32, y.dims, y.rank);
}

f32 floor_of(f32 x) {
  const f32 t = static_cast<f32>(static_cast<i64>(x));
  return t > x ? t - 1 : t;
}

// Reflects x at the borders until it lies between them.
f32 reflect(f32 x, f32 low, f32 high) {
  const f32 range = high - low;
  if (!(range > 0)) return low;
  const bool below = x < low;
  if (!below && x <= high) return x;
  const f32 beyond = below ? low - x : x - high;
  const i64 turns = static_cast<i64>(beyond / range);
  const f32 rest = beyond - static_cast<f32>(turns) * range;
  return (turns % 2 == 0) == below ? low + rest : high - rest;
}

// The taps of one coordinate along an axis of `size` elements; index -1 reads zero.
struct Taps {
  int n;
  i64 index[4];
  f32 weight[4];
};

i64 place(const State& s, f32 x, i64 size) {
  const f32 low = s.align_corners ? 0.0f : -0.5f, high = s.align_corners ? static_cast<f32>(size - 1) : static_cast<f32>(size) - 0.5f;
  const i64 i = static_cast<i64>(s.padding == kReflection ? reflect(x, low, high) : x);
  if (s.padding == kZeros && (i < 0 || i >= size)) return -1;
  return i < 0 ? 0 : i >= size ? size - 1 : i;
}

// Keys 1981 with a = -0.75, for the tap `distance` away.
f32 cubic(f32 distance) {
  constexpr f32 a = -0.75f;
  const f32 x = distance < 0 ? -distance : distance;
  return x <= 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
}

Taps taps_of(const State& s, f32 normal, i64 size) {
  const f32 length = static_cast<f32>(size);
  f32 x = s.align_corners ? (normal + 1) / 2 * (length - 1) : ((normal + 1) * length - 1) / 2;
  constexpr f32 kFar = 1e9f;  // beyond every image; NaN goes there too
  x = !(x > -kFar) ? -kFar : x > kFar ? kFar : x;
  if (s.mode == kNearest) {
    f32 whole = floor_of(x);
    const f32 rest = x - whole;
    if (rest > 0.5f || (rest == 0.5f && static_cast<i64>(whole) % 2 != 0)) whole += 1;
    return {1, {place(s, whole, size)}, {1.0f}};
  }
  const f32 low = s.align_corners ? 0.0f : -0.5f, high = s.align_corners ? length - 1 : length - 0.5f;
  if (s.padding == kBorder && s.mode == kLinear) x = x < 0 ? 0 : x > length - 1 ? length - 1 : x;
  if (s.padding == kReflection) x = reflect(x, low, high);
  const f32 whole = floor_of(x), rest = x - whole;
  if (s.mode == kLinear) return {2, {place(s, whole, size), place(s, whole + 1, size)}, {1 - rest, rest}};
  Taps t = {4, {}, {}};
  for (int i = 0; i < 4; ++i) {
    const f32 at = static_cast<f32>(i - 1);
    t.index[i] = place(s, whole + at, size);
    t.weight[i] = cubic(at - rest);
  }
  return t;
}

f32 sample(const State& s, const f32* x, const Taps (&t)[3]) {
  f32 volume = 0;
  for (int i = 0; i < t[0].n; ++i) {
    f32 plane = 0;
    for (int j = 0; j < t[1].n; ++j) {
      f32 line = 0;
      for (int k = 0; k < t[2].n; ++k) {
        const i64 a = t[0].index[i], b = t[1].index[j], c = t[2].index[k];
        const f32 value = (a | b | c) < 0 ? 0.0f : x[(a * s.in[1] + b) * s.in[2] + c];
        line += t[2].weight[k] * value;
      }
      plane += t[1].weight[j] * line;
    }
    volume += t[0].weight[i] * plane;
  }
  return volume;
}

void run(Run& r) {
  const State& s = r.state<State>();
  if (count(r.out(0)) == 0) return;
  const i64 image = s.in[0] * s.in[1] * s.in[2];
  r.ranges(s.batch * s.pixels, max_of(1, 2048 / s.channels), [&](i64 begin, i64 end, int) {
    for (i64 i = begin; i < end; ++i) {
      const f32* at = r.in(1).as<const f32>() + i * s.spatial;
      Taps taps[3] = {{1, {0}, {1.0f}}, {}, {}};
      for (int d = 0; d < s.spatial; ++d) taps[2 - d] = taps_of(s, at[d], s.in[2 - d]);
      const i64 n = i / s.pixels;
      for (i64 c = n * s.channels; c < (n + 1) * s.channels; ++c) {
        r.out(0).as<f32>()[c * s.pixels + i % s.pixels] = sample(s, r.in(0).as<const f32>() + c * image, taps);
      }
    }
  });
}

// AffineGrid: grid[n, pixel] = theta[n] @ (x, y, [z,] 1). AxisParams.flag: corners are aligned.
struct GridState {
  int spatial;
  i64 dims[3];  // from the outermost to the innermost
};

Status prepare_grid(Prepare& p) {
  if (!p.has(0) || !p.has(1) || !p.wants(0)) return p.fail("it needs matrices, a size and an output");
  const Tensor& theta = p.in(0);
  if (theta.dtype != DType::f32 || p.in(1).dtype != DType::i64) return p.fail("matrices must be float32 and the size int64");
  const i64 n = count(p.in(1));
  if ((n != 4 && n != 5) || theta.rank != 3 || theta.dims[1] != n - 2 || theta.dims[2] != n - 1) return p.fail("its inputs do not fit");
  const auto* size = static_cast<const i64*>(p.value(1));
  if (!size) return p.wait();
  if (size[0] != theta.dims[0]) return p.fail("it has %lld matrices", static_cast<long long>(theta.dims[0]));
  auto* s = p.state<GridState>();
  if (!s) return p.out_of_memory();
  s->spatial = static_cast<int>(n - 2);
  i64 dims[5] = {size[0]};
  for (int d = 0; d < s->spatial; ++d) dims[1 + d] = s->dims[d] = size[2 + d];
  dims[1 + s->spatial] = s->spatial;
  return p.set(0, DType::f32, dims, s->spatial + 2);
}

void run_grid(Run& r) {
  const GridState& s = r.state<GridState>();
  const Tensor& y = r.out(0);
  if (count(y) == 0) return;
  const bool align_corners = r.params<AxisParams>().flag != 0;
  const i64 pixels = count(y, 1, y.rank - 1);
  r.ranges(count(y, 0, y.rank - 1), 4096, [&](i64 begin, i64 end, int) {
    for (i64 i = begin; i < end; ++i) {
      const f32* theta = r.in(0).as<const f32>() + i / pixels * s.spatial * (s.spatial + 1);
      f32 at[3] = {};
      i64 rest = i % pixels;
      for (int d = s.spatial - 1; d >= 0; --d) {
        const f32 size = static_cast<f32>(s.dims[d]), k = static_cast<f32>(rest % s.dims[d]);
        rest /= s.dims[d];
        at[s.spatial - 1 - d] = !align_corners ? (2 * k + 1) / size - 1 : s.dims[d] > 1 ? 2 * k / (size - 1) - 1 : -1.0f;
      }
      for (int row = 0; row < s.spatial; ++row) {
        const f32* m = theta + row * (s.spatial + 1);
        f32 sum = 0;
        for (int k = 0; k < s.spatial; ++k) sum += m[k] * at[k];
        y.as<f32>()[i * s.spatial + row] = sum + m[s.spatial];
      }
    }
  });
}

}  // namespace

extern const OpDef kGridSample;
const OpDef kGridSample = {"GridSample", sizeof(AxisParams), prepare, run};

extern const OpDef kAffineGrid;
const OpDef kAffineGrid = {"AffineGrid", sizeof(AxisParams), prepare_grid, run_grid};

}  // namespace edgeort
