// StemConv: the first layer of a network for pictures. It reads the picture as it comes, channels first.
#include "stem.h"

#include <string.h>

#include "../../core/stream.h"
#include "../elementwise/bound.h"
#include "geometry.h"

namespace edgeort {

EDGEORT_KERNELS(StemKernels, stem)

namespace {

struct State {
  Geometry g;
  BoundProgram epilogue;
  f32 lo, hi;
  bool swish, program;
  StemTiles tiles;
  i64 rows;          // that an output line reads, of all planes
  i64 group, reads;  // the most outputs of a tile's group, and the floats of a row that such a group reads
  const f32* zeros;  // a line

  u64 edge_bytes() const { return static_cast<u64>(rows * reads) * sizeof(f32); }
  u64 scratch_bytes() const { return edge_bytes() + (program ? epilogue.scratch_bytes(g.out[2] * g.c_out) : 0); }
  i64 panel_stride() const { return g.taps * kStemPlanes * kPanel; }
};

Status prepare(Prepare& p) {
  const auto& params = p.params<ConvParams>();
  auto* s = p.state<State>();
  if (!s) return p.out_of_memory();
  Geometry& g = s->g;
  EDGEORT_TRY(conv_geometry(p, params, &g, true));
  if (g.groups != 1 || g.c_in != kStemPlanes || params.spatial != 2) return p.fail("is not a convolution of three planes");
  for (int d = 1; d < 3; ++d) {
    const bool fits = (g.kernel[d] == 3 || g.kernel[d] == 7) && g.kernel[d] == g.kernel[1];
    if (!fits || g.stride[d] != kStemStride || g.dilation[d] != 1 || g.pad[d] < 0) return p.fail("is not 3x3 or 7x7 of stride 2");
  }
  const i64 padded = ceil_div(g.c_out, kPanel) * kPanel;
  EDGEORT_TRY(check_weights(p, g.taps * kStemPlanes * padded, padded));
  const Tensor& y = p.out(0);
  EDGEORT_TRY(s->epilogue.bind(p, params.epilogue, sizeof(params), y.dims, y.rank - 1, g.c_out, true));
  s->program = !s->epilogue.in_registers(&s->lo, &s->hi, &s->swish);
  s->tiles = g.kernel[1] == 3 ? stem(p.isa()).small : stem(p.isa()).large;
  s->rows = g.kernel[1] * kStemPlanes;
  for (const StemTile* tile = s->tiles.tiles; tile < s->tiles.tiles + s->tiles.count; ++tile) {
    s->group = max_of(s->group, tile->pixels);
    s->reads = max_of(s->reads, tile->reads);
  }
  s->zeros = static_cast<const f32*>(p.keep(static_cast<u64>(g.in[2] + 1) * sizeof(f32)));
  if (!s->zeros) return p.out_of_memory();
  p.thread_scratch(s->scratch_bytes());
  return Status::ok;
}

// One output line.
struct Line {
  const Run& r;
  const State& s;
  const f32* lines[kStemMostRows];  // column 0 of the rows that it reads
  f32* out;
  f32* edge;

  Line(const Run& run, const State& state, i64 n, i64 y, f32* to, void* scratch)
      : r(run), s(state), out(to), edge(static_cast<f32*>(scratch)) {
    const i64 height = s.g.in[1], width = s.g.in[2];
    for (i64 i = 0; i < s.rows; ++i) {
      const i64 iy = y * kStemStride - s.g.pad[1] + i / kStemPlanes;
      const i64 row = (n * kStemPlanes + i % kStemPlanes) * height + iy;
      lines[i] = iy >= 0 && iy < height ? r.in(0).as<const f32>() + row * width : s.zeros;
    }
  }

  // `pixels` outputs from x on, whose first input is column `from` of `rows`.
  void tiles(const f32* const* rows, i64 from, i64 x, i64 pixels) const {
    StemArgs a = {
        {},        pixels, r.in(1).as<const f32>(), s.panel_stride(), r.in(2).as<const f32>(), s.lo, s.hi, s.swish, out + x * s.g.c_out,
        s.g.c_out, 0};
    for (i64 i = 0; i < s.rows; ++i) a.rows[i] = rows[i] + from;
    const StemTile* tile = s.tiles.tiles;
    for (i64 column = 0; column < s.g.c_out; column += tile->columns) {
      const i64 left = s.g.c_out - column, padded = ceil_div(left, kPanel) * kPanel;
      while (tile->columns > padded) ++tile;
      a.panels = r.in(1).as<const f32>() + column / kPanel * s.panel_stride() + column % kPanel;
      a.bias = r.in(2).as<const f32>() + column;
      a.out = out + x * s.g.c_out + column;
      a.columns = min_of(left, tile->columns);
      tile->fn(a);
    }
  }

  // A group that reads outside the image, by way of a copy with zeros there.
  void border(i64 x) const {
    const f32* rows[kStemMostRows];
    const i64 start = x * kStemStride - s.g.pad[2];
    const i64 first = min_of(s.reads, max_of(0, -start)), last = max_of(first, min_of(s.reads, s.g.in[2] - start));
    for (i64 i = 0; i < s.rows; ++i) {
      f32* row = edge + i * s.reads;
      memset(row, 0, static_cast<size_t>(s.reads) * sizeof(f32));
      memcpy(row + first, lines[i] + start + first, static_cast<size_t>(last - first) * sizeof(f32));
      rows[i] = row;
    }
    tiles(rows, 0, x, min_of(s.group, s.g.out[2] - x));
  }

  void run() const {
    const i64 step = s.group * kStemStride;
    for (i64 x = 0; x < s.g.out[2];) {
      const i64 start = x * kStemStride - s.g.pad[2], room = s.g.in[2] - start - s.reads;
      const i64 groups = start < 0 || room < 0 ? 0 : min_of((s.g.out[2] - x) / s.group, room / step + 1);
      groups ? tiles(lines, start, x, groups * s.group) : border(x);
      x += max_of(1, groups) * s.group;
    }
  }

  // `row`: the line's first pixel in the epilogue's space.
  void finish(i64 row) const {
    void* scratch = edge + s.rows * s.reads;
    if (s.epilogue.flat) {
      s.epilogue.run(r, out, row, 0, s.g.out[2] * s.g.c_out, scratch);
      return;
    }
    for (i64 x = 0; x < s.g.out[2]; ++x) s.epilogue.run(r, out + x * s.g.c_out, row + x, 0, s.g.c_out, scratch);
  }
};

void run_line(const Run& r, i64 n, i64 y, f32* out, void* scratch) {
  const State& s = r.state<State>();
  const Line line(r, s, n, y, out, scratch);
  line.run();
  if (s.program) line.finish((n * s.g.out[1] + y) * s.g.out[2]);
}

void run(Run& r) {
  const Geometry& g = r.state<State>().g;
  const i64 width = g.out[2] * g.c_out;
  r.ranges(g.batch * g.out[1], max_of(1, 8192 / (width + 1)), [&](i64 begin, i64 end, int thread) {
    for (i64 i = begin; i < end; ++i) {
      run_line(r, i / g.out[1], i % g.out[1], r.out(0).as<f32>() + i * width, r.thread_scratch(thread));
    }
  });
}

bool can_stream(const void*) { return true; }

u64 stream_scratch(const void* state, i64) { return static_cast<const State*>(state)->scratch_bytes(); }

void run_lines(const Run& r, const Lines&, const Lines& out, i64 n, Span lines, void* scratch) {
  for (i64 y = lines.first; y < lines.last; ++y) run_line(r, n, y, out.line(y), scratch);
}

// Reads its whole input: it begins a stream.
constexpr StreamOps kStream = {can_stream, nullptr, nullptr, stream_scratch, run_lines};

}  // namespace

extern const OpDef kStemConv;
const OpDef kStemConv = {"StemConv", sizeof(ConvParams), prepare, run, &kStream};

}  // namespace edgeort
