// WinogradConv: 3x3, stride 1. A task transforms a run of 6x6 patches, multiplies them position by position with the
// transformed weights, and transforms the products back into 4x4 outputs, all in its own scratch.
#include "winograd.h"

#include "../gemm/matrix.h"
#include "geometry.h"

namespace edgeort {

EDGEORT_KERNELS(WinogradKernels, winograd)

namespace {

// Scratch that a task's patches and products should fit in: about a small core's share of L2.
constexpr i64 kScratchBytes = 512 * 1024;
constexpr i64 kMostTiles = 48;

struct State {
  Geometry g;
  Matrix matrix;     // of one position: tiles x c_in x c_out
  i64 across, down;  // tiles of an image
  i64 tiles;         // in all
  i64 per_task;
  i64 padded_out;
  f32 lo, hi;  // the epilogue's clamp, applied to outputs; products are not clamped
  const WinogradKernels* kernels;
  const f32* zeros;
};

Status prepare(Prepare& p) {
  const auto& params = p.params<ConvParams>();
  auto* s = p.state<State>();
  if (!s) return p.fail("out of memory");
  Geometry& g = s->g;
  EDGEORT_TRY(conv_geometry(p, params, &g));
  const bool fits = g.kernel[0] == 1 && g.in[0] == 1 && g.out[0] == 1 && g.kernel[1] == 3 && g.kernel[2] == 3 && g.groups == 1;
  if (!fits || g.stride[1] != 1 || g.stride[2] != 1 || g.dilation[1] != 1 || g.dilation[2] != 1)
    return p.fail("needs a 3x3 kernel of stride 1");
  s->padded_out = ceil_div(g.c_out, kPanel) * kPanel;
  if (g.c_in > i64{1} << 24) return p.fail("has too many channels");
  EDGEORT_TRY(check_weights(p, kWinogradPositions * g.c_in * s->padded_out, s->padded_out));
  const Tensor& y = p.out(0);
  EDGEORT_TRY(s->matrix.bind(p, params.epilogue, sizeof(params), y.dims, y.rank - 1, g.c_out, g.c_in));
  s->lo = s->matrix.lo;
  s->hi = s->matrix.hi;
  s->matrix.lo = -__builtin_inff();
  s->matrix.hi = __builtin_inff();
  s->kernels = &winograd(p.isa());
  s->down = ceil_div(g.out[1], kWinogradOut);
  s->across = ceil_div(g.out[2], kWinogradOut);
  s->tiles = g.batch * s->down * s->across;
  const i64 bytes = kWinogradPositions * (g.c_in + s->padded_out) * i64{sizeof(f32)};
  const i64 shared = ceil_div(s->tiles, p.threads() > 1 ? 2 * p.threads() : 1);
  const i64 most = max_of(1, min_of(min_of(kMostTiles, shared), max_of(12, kScratchBytes / bytes)));
  s->per_task = max_of(1, ceil_div(s->tiles, max_of(1, ceil_div(s->tiles, most))));  // tasks of equal size
  s->zeros = static_cast<const f32*>(p.keep(static_cast<u64>(g.c_in) * sizeof(f32)));
  if (!s->zeros) return p.fail("out of memory");
  const u64 program = s->matrix.program ? s->matrix.epilogue.scratch_bytes(g.out[2] * g.c_out) : 0;
  p.thread_scratch(static_cast<u64>(s->per_task * bytes) + program);
  return Status::ok;
}

// Transforms the patches of tiles [first, first + count).
void transform_in(const State& s, const f32* x, i64 first, i64 count, f32* to) {
  const Geometry& g = s.g;
  for (i64 i = 0; i < count; ++i) {
    const i64 tile = first + i, n = tile / s.across / s.down;
    const i64 top = tile / s.across % s.down * kWinogradOut - g.pad[1], left = tile % s.across * kWinogradOut - g.pad[2];
    const f32* patch[kWinogradPositions];
    for (int y = 0; y < kWinogradIn; ++y) {
      for (int c = 0; c < kWinogradIn; ++c) {
        const bool inside = top + y >= 0 && top + y < g.in[1] && left + c >= 0 && left + c < g.in[2];
        patch[y * kWinogradIn + c] = inside ? x + ((n * g.in[1] + top + y) * g.in[2] + left + c) * g.c_in : s.zeros;
      }
    }
    s.kernels->input(patch, g.c_in, to + i * g.c_in, count * g.c_in);
  }
}

// One product for each position.
void multiply(const State& s, const f32* weights, const f32* in, i64 count, f32* out) {
  const Geometry& g = s.g;
  const f32* pointers[kMaxTileRows];
  i64 offset = 0;
  const i64 block = ceil_div(count, ceil_div(count, s.matrix.main_tile().rows));
  for (i64 position = 0; position < kWinogradPositions; ++position) {
    const f32* panels = weights + position * g.c_in * s.padded_out;
    for (i64 row = 0; row < count; row += block) {
      const int rows = static_cast<int>(min_of(block, count - row));
      for (int m = 0; m < rows; ++m) pointers[m] = in + (position * count + row + m) * g.c_in;
      s.matrix.columns({pointers, &offset, 1, g.c_in, rows}, panels, nullptr, 0, s.padded_out,
                       out + (position * count + row) * s.padded_out, s.padded_out);
    }
  }
}

// Transforms the products back and runs the epilogue over the lines of each run of tiles.
void transform_out(const Run& r, const State& s, const f32* from, i64 first, i64 count, void* scratch) {
  const Geometry& g = s.g;
  f32* out = r.out(0).as<f32>();
  for (i64 i = 0; i < count; ++i) {
    const i64 tile = first + i, line = tile / s.across;  // a line of tiles
    const i64 top = line % s.down * kWinogradOut, left = tile % s.across * kWinogradOut;
    const i64 base = line / s.down * g.out[1] + top;  // the first output line, over all images
    f32* pixels[kWinogradOut * kWinogradOut];
    for (int y = 0; y < kWinogradOut; ++y) {
      for (int x = 0; x < kWinogradOut; ++x) {
        const bool inside = top + y < g.out[1] && left + x < g.out[2];
        pixels[y * kWinogradOut + x] = inside ? out + ((base + y) * g.out[2] + left + x) * g.c_out : nullptr;
      }
    }
    s.kernels->output(from + i * s.padded_out, count * s.padded_out, g.c_out, r.in(2).as<const f32>(), s.lo, s.hi, pixels);
    if (!s.matrix.program || (i + 1 < count && (tile + 1) % s.across != 0)) continue;
    // The run's last tile of this line: its outputs from the run's first tile of the line on are complete.
    const i64 begin = max_of(first, line * s.across) % s.across * kWinogradOut, width = min_of(g.out[2], left + kWinogradOut) - begin;
    for (int y = 0; y < kWinogradOut && top + y < g.out[1]; ++y) {
      const i64 row = (base + y) * g.out[2] + begin;
      s.matrix.finish(r, row, 0, static_cast<int>(width), 0, g.c_out, out + row * g.c_out, g.c_out, scratch);
    }
  }
}

void run(Run& r) {
  const State& s = r.state<State>();
  const Geometry& g = s.g;
  r.parallel(ceil_div(s.tiles, s.per_task), [&](i64 task, int thread) {
    const i64 first = task * s.per_task, count = min_of(s.per_task, s.tiles - first);
    f32* patches = static_cast<f32*>(r.thread_scratch(thread));
    f32* products = patches + kWinogradPositions * s.per_task * g.c_in;
    f32* rest = products + kWinogradPositions * s.per_task * s.padded_out;
    transform_in(s, r.in(0).as<const f32>(), first, count, patches);
    multiply(s, r.in(1).as<const f32>(), patches, count, products);
    transform_out(r, s, products, first, count, rest);
  });
}

}  // namespace

extern const OpDef kWinogradConv;
const OpDef kWinogradConv = {"WinogradConv", sizeof(ConvParams), prepare, run};

}  // namespace edgeort
