// GridSample and AffineGrid, channels first, two or three spatial dimensions. Multiplications and additions are rounded one by
// one, in the order written.
#include "sample.h"

#include "../../core/op.h"

namespace edgeort {

EDGEORT_KERNELS(SampleFn, resize_sample)

namespace {

struct State {
  Sampling sampling;
  i64 pixels, channels, batch;  // pixels: sampled places of an image
  int isa;
};

constexpr i64 kMostElements = 0x7fffffff;

Status prepare(Prepare& p) {
  const auto& params = p.params<AxisParams>();
  if (!p.has(0) || !p.has(1) || !p.wants(0)) return p.fail("it needs data, a grid and an output");
  const Tensor& x = p.in(0);
  const Tensor& grid = p.in(1);
  if (x.dtype != DType::f32 || grid.dtype != DType::f32) return p.fail("its inputs must be float32");
  if (x.rank < 4 || x.rank > 5 || grid.rank != x.rank) return p.fail("its inputs must have rank 4 or 5");
  if (params.axis < 0 || params.axis > static_cast<i32>(SampleMode::cubic) || params.flag < 0 ||
      (params.flag & 3) > static_cast<i32>(Padding::reflection))
    return p.fail("its mode is unknown");
  auto* s = p.state<State>();
  if (!s) return p.out_of_memory();
  Sampling& in = s->sampling;
  in.spatial = x.rank - 2;
  if (grid.dims[grid.rank - 1] != in.spatial || grid.dims[0] != x.dims[0]) return p.fail("its grid does not fit its data");
  Tensor y = x;
  in.in[0] = 1;
  for (int d = 0; d < in.spatial; ++d) {
    in.in[3 - in.spatial + d] = x.dims[2 + d];
    y.dims[2 + d] = grid.dims[1 + d];
  }
  if (count(x, 2, x.rank) > kMostElements) return p.fail("its images have more than 2^31 elements");
  s->batch = x.dims[0];
  s->channels = x.dims[1];
  s->pixels = count(grid, 1, grid.rank - 1);
  in.mode = static_cast<SampleMode>(params.axis);
  in.padding = static_cast<Padding>(params.flag & 3);
  in.align_corners = params.flag & 4;
  s->isa = p.isa();
  p.thread_scratch(in.scratch());
  if (count(x) == 0 && count(y) > 0) return p.fail("it samples an empty image");
  return p.set(0, DType::f32, y.dims, y.rank);
}

void run(Run& r) {
  const State& s = r.state<State>();
  if (count(r.out(0)) == 0) return;
  const i64 image = s.sampling.image(), blocks = ceil_div(s.pixels, kPlaces);
  const SampleFn sample = resize_sample(s.isa);
  r.parallel(s.batch * blocks, [&](i64 task, int thread) {
    const i64 n = task / blocks, begin = task % blocks * kPlaces;
    const f32* grid = r.in(1).as<const f32>() + (n * s.pixels + begin) * s.sampling.spatial;
    const f32* x = r.in(0).as<const f32>() + n * s.channels * image;
    f32* y = r.out(0).as<f32>() + n * s.channels * s.pixels + begin;
    sample(s.sampling, x, grid, y, s.channels, s.pixels, min_of(kPlaces, s.pixels - begin), r.thread_scratch(thread));
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
