// WinogradStemConv: a 7x7 first layer of stride 2, chosen where shapes say that it pays (edgeort/lowering/winograd_stem.py). It reads
// the picture as it comes, channels first, and makes strips of four lines, a run of tiles at a time.
#include "winograd_stem.h"

#include <string.h>

#include "../../core/stream.h"
#include "../elementwise/bound.h"
#include "geometry.h"

namespace edgeort {

EDGEORT_KERNELS(WinogradStemKernels, winograd_stem)

namespace {

constexpr i64 kStride = kStemStep / kStemTile, kLines = kStemChannels * kStemPatch;

// A thread's scratch, in floats: what is transformed, the lines or later the sums, the pixels of a tile that is not stored whole.
constexpr i64 kInput = kStemTerms * kStemRun, kSums = kStemPoints * kStemPoints * kStemSums, kPixels = kStemTile * kStemTile * kPanel;
constexpr i64 kScratch = kInput + kSums + kPixels;
static_assert(kLines * kStemLine <= kSums, "the sums take the lines' place");

struct State {
  Geometry g;
  BoundProgram epilogue;
  f32 lo, hi;
  bool program;
  const WinogradStemKernels* kernels;
  i64 tiles, per_run;  // of a strip

  u64 scratch_bytes() const {
    return static_cast<u64>(kScratch) * sizeof(f32) + (program ? epilogue.scratch_bytes(g.out[2] * g.c_out) : 0);
  }
};

Status prepare(Prepare& p) {
  const auto& params = p.params<ConvParams>();
  auto* s = p.state<State>();
  if (!s) return p.out_of_memory();
  Geometry& g = s->g;
  EDGEORT_TRY(conv_geometry(p, params, &g, true));
  if (g.groups != 1 || g.c_in != kStemChannels || params.spatial != 2) return p.fail("is not a convolution of three planes");
  for (int d = 1; d < 3; ++d) {
    if (g.kernel[d] != kStemKernel || g.stride[d] != kStride || g.dilation[d] != 1 || g.pad[d] < 0) return p.fail("is not 7x7 of stride 2");
  }
  const i64 padded = round_up(g.c_out, kPanel);
  EDGEORT_TRY(check_weights(p, kStemTerms * padded, padded));
  const Tensor& y = p.out(0);
  EDGEORT_TRY(s->epilogue.bind(p, params.epilogue, sizeof(params), y.dims, y.rank - 1, g.c_out, true));
  s->lo = -__builtin_inff();
  s->hi = __builtin_inff();
  s->program = !s->epilogue.empty() && !s->epilogue.clamp(&s->lo, &s->hi);
  s->kernels = &winograd_stem(p.isa());
  s->tiles = ceil_div(g.out[2], kStemTile);
  s->per_run = s->tiles == 0 ? 1 : ceil_div(s->tiles, ceil_div(s->tiles, kStemRun));
  p.thread_scratch(s->scratch_bytes());
  return Status::ok;
}

// Four output lines, or those that are left, of one image: `lines`.
struct Strip {
  const Run& r;
  const State& s;
  i64 n, top;
  i64 height;
  f32* lines[kStemTile];
  f32* scratch;

  f32* sums() const { return scratch + kInput; }
  f32* pixels() const { return sums() + kSums; }

  // The pixels under `count` tiles from `first` on, with zeros around the picture.
  void load_lines(i64 first, i64 count) const {
    const Geometry& g = s.g;
    const i64 floats = kStemStep * (round_up(count, s.kernels->lanes) + 4), left = first * kStemStep - g.pad[2];
    const i64 begin = min_of(floats, max_of(0, -left)), end = max_of(begin, min_of(floats, g.in[2] - left));
    for (i64 i = 0; i < kLines; ++i) {
      const i64 y = top * kStride - g.pad[1] + i % kStemPatch;
      f32* to = sums() + i * kStemLine;
      if (y < 0 || y >= g.in[1]) {
        memset(to, 0, static_cast<size_t>(floats) * sizeof(f32));
        continue;
      }
      const f32* from = r.in(0).as<const f32>() + ((n * kStemChannels + i / kStemPatch) * g.in[1] + y) * g.in[2];
      memset(to, 0, static_cast<size_t>(begin) * sizeof(f32));
      memcpy(to + begin, from + left + begin, static_cast<size_t>(end - begin) * sizeof(f32));
      memset(to + end, 0, static_cast<size_t>(floats - end) * sizeof(f32));
    }
  }

  // Columns of a panel of a tile's outputs; those that fill no vector, or no tile, by way of a copy.
  void save(i64 tile, i64 column, const f32* from) const {
    const i64 columns = min_of(kPanel, s.g.c_out - column), x = tile * kStemTile, width = min_of(kStemTile, s.g.out[2] - x);
    const bool whole = height == kStemTile && width == kStemTile && columns % s.kernels->lanes == 0;
    const f32* bias = r.in(2).as<const f32>() + column;
    WinogradStemTile t = {from, bias, s.lo, s.hi, {}, whole ? s.g.c_out : kPanel, whole ? columns : kPanel};
    for (i64 y = 0; y < kStemTile; ++y) t.lines[y] = whole ? lines[y] + x * s.g.c_out + column : pixels() + y * kStemTile * kPanel;
    s.kernels->output(t);
    for (i64 i = 0; i < height * width && !whole; ++i) {
      memcpy(lines[i / width] + (x + i % width) * s.g.c_out + column, t.lines[i / width] + i % width * kPanel,
             static_cast<size_t>(columns) * sizeof(f32));
    }
  }

  void run_tiles(i64 first, i64 count) const {
    load_lines(first, count);
    s.kernels->input(sums(), count, scratch);
    for (i64 column = 0; column < s.g.c_out; column += kPanel) {
      s.kernels->multiply(scratch, count, r.in(1).as<const f32>() + column * kStemTerms, sums());
      for (i64 tile = 0; tile < count; ++tile) save(first + tile, column, sums() + tile * kPanel);
    }
  }

  void finish(i64 y) const {
    const i64 row = ((n * s.g.out[1]) + top + y) * s.g.out[2], step = s.epilogue.flat ? s.g.out[2] : 1;
    for (i64 x = 0; x < s.g.out[2]; x += step) {
      s.epilogue.run(r, lines[y] + x * s.g.c_out, row + x, 0, step * s.g.c_out, scratch + kScratch);
    }
  }

  void run() const {
    for (i64 first = 0; first < s.tiles; first += s.per_run) run_tiles(first, min_of(s.per_run, s.tiles - first));
    for (i64 y = 0; y < height && s.program; ++y) finish(y);
  }
};

void run_lines(const Run& r, const Lines&, const Lines& out, i64 n, Span span, void* scratch) {
  const State& s = r.state<State>();
  for (i64 top = span.first; top < span.last; top += kStemTile) {
    Strip strip = {r, s, n, top, min_of(kStemTile, span.last - top), {}, static_cast<f32*>(scratch)};
    for (i64 y = 0; y < strip.height; ++y) strip.lines[y] = out.line(top + y);
    strip.run();
  }
}

void run(Run& r) {
  const Geometry& g = r.state<State>().g;
  const i64 strips = ceil_div(g.out[1], kStemTile);
  r.parallel(g.batch * strips, [&](i64 task, int thread) {
    const i64 n = task / strips, top = task % strips * kStemTile;
    run_lines(r, {}, Lines::of(r.out(0), n), n, {top, min_of(g.out[1], top + kStemTile)}, r.thread_scratch(thread));
  });
}

bool can_stream(const void*) { return true; }

u64 stream_scratch(const void* state, i64) { return static_cast<const State*>(state)->scratch_bytes(); }

// Reads its whole input: it begins a stream, strip by strip.
constexpr StreamOps kStream = {can_stream, nullptr, nullptr, stream_scratch, run_lines, kStemTile};

}  // namespace

extern const OpDef kWinogradStemConv;
const OpDef kWinogradStemConv = {"WinogradStemConv", sizeof(ConvParams), prepare, run, &kStream};

}  // namespace edgeort
