// Picture: uint8 [height, width, channels] becomes the input of a network in one pass: resized, cropped or bordered, its channels in
// order, each level of each channel looked up in a table [channels, 256] (input 1), and laid out. A task makes lines of the result
// through a ring of lines that were resampled along their length, so that no picture lies in between.
#include <string.h>

#include "axis.h"
#include "geometry.h"

namespace edgeort {

EDGEORT_KERNELS(LineKernels, image_pillow)
EDGEORT_KERNELS(LineKernels, image_linear)
EDGEORT_KERNELS(LineKernels, image_bicubic)
EDGEORT_KERNELS(LineKernels, image_nearest)
EDGEORT_KERNELS(LineKernels, image_area)
EDGEORT_KERNELS(LineKernels, image_whole)

namespace {

constexpr i64 kMostSide = i64{1} << 20;     // of a picture
constexpr i64 kMostResized = i64{1} << 28;  // of what it becomes before the crop
constexpr i64 kGrain = 8;                   // lines of the result that a task has at least
constexpr i64 kSpareBytes = 4;              // behind a line between the passes, which may be written
constexpr int kLumaBits = 16;               // of the weights that make grey of colours

struct State {
  ImageGeometry geometry;
  LineKernels kernels;
  Taps down, across;
  // Of the result: where the picture begins and how much of it there is.
  i64 y, x, rows, columns;
  int source, channels, worked;  // channels of the picture, of the result, and of the lines between
  i32 pixels;                    // of a mean
  bool four, gray, columns_first;
  i64 pitch;       // bytes of a line of the ring
  u64 ring, line;  // where these begin in a thread's scratch, behind the pointers to lines
  u64 result;
};

const LineKernels& kernels_of(Arithmetic arithmetic, int isa) {
  switch (arithmetic) {
    case Arithmetic::pillow:
      return image_pillow(isa);
    case Arithmetic::linear:
      return image_linear(isa);
    case Arithmetic::bicubic:
      return image_bicubic(isa);
    case Arithmetic::nearest:
      return image_nearest(isa);
    case Arithmetic::area:
      return image_area(isa);
    case Arithmetic::whole:
      return image_whole(isa);
  }
  return image_nearest(isa);
}

bool is_within(i64 x, i64 least, i64 most) { return x >= least && x <= most; }

Status check_params(Prepare& p, const PictureParams& params) {
  const bool channels = params.source == 1 || params.source == 3 || params.source == 4;
  if (!channels || !is_within(params.channels, 1, 4)) return p.fail("it has %d channels, and makes %d", params.source, params.channels);
  const bool gray = params.luma[0] || params.luma[1] || params.luma[2] || params.luma[3];
  for (int c = 0; c < params.channels; ++c) {
    if (!is_within(params.map[c], 0, (gray ? 1 : params.source) - 1)) return p.fail("channel %d is that of number %d", c, params.map[c]);
  }
  for (int c = 0; c < 4; ++c) {
    if (!is_within(params.luma[c], 0, 1 << kLumaBits)) return p.fail("a weight of grey is %d", params.luma[c]);
  }
  const auto most = static_cast<i32>(ImageMethod::box);
  const bool wide = params.method != 0 && params.method != static_cast<i32>(ImageMethod::area);
  bool fits = is_within(params.method, 0, most) && is_within(params.antialias, 0, wide ? 1 : 0) && is_within(params.fill, 0, 255);
  fits = fits && (params.method != most || params.antialias);
  if (!fits) return p.fail("there is no method %d with antialias %d and fill %d", params.method, params.antialias, params.fill);
  constexpr i64 kMostSize = i64{1} << 16;
  fits = is_within(params.fit, 0, static_cast<i32>(ImageFit::letterbox));
  fits = fits && is_within(params.size[0], 1, kMostSize) && is_within(params.size[1], 1, kMostSize);
  const bool crops = params.crop[0] != 0 || params.crop[1] != 0;
  fits = fits && (!crops || (is_within(params.crop[0], 1, kMostSize) && is_within(params.crop[1], 1, kMostSize)));
  if (!fits) return p.fail("fit %d to %dx%d cannot be", params.fit, params.size[0], params.size[1]);
  return Status::ok;
}

Status check_operands(Prepare& p, const PictureParams& params) {
  if (p.inputs() != 2 || p.outputs() != 1 || !p.has(0) || !p.has(1)) return p.fail("it needs a picture and a table");
  const Tensor &x = p.in(0), &table = p.in(1);
  if (x.dtype != DType::u8 || x.rank != 3 || x.dims[2] != params.source) {
    return p.fail("a picture is uint8 [height, width, %d]", params.source);
  }
  if (!is_within(x.dims[0], 1, kMostSide) || !is_within(x.dims[1], 1, kMostSide)) {
    return p.fail("a picture of %lldx%lld is none, or too large", static_cast<long long>(x.dims[0]), static_cast<long long>(x.dims[1]));
  }
  const bool fits = table.rank == 2 && table.dims[0] == params.channels && table.dims[1] == 256;
  const bool plain = table.dtype == DType::f32 || table.dtype == DType::f16 || table.dtype == DType::u8 || table.dtype == DType::i8;
  if (!fits || !plain || (params.quantised && table.dtype != DType::i8)) return p.fail("its table is not [%d, 256]", params.channels);
  return Status::ok;
}

// What of an axis is inside: inputs, outputs of the whole, those that are made.
ImageAxis axis_of(i64 inputs, i64 outputs, i64 begin, i64 window) {
  const i64 first = max_of(begin, 0), skipped = max_of(-begin, 0);
  return {inputs, outputs, first, max_of(0, min_of(outputs - first, window - skipped))};
}

Status make_taps(Prepare& p, const ImageFilter& filter, const ImageAxis& axis, bool across, Taps* taps) {
  taps->inputs = axis.inputs, taps->count = axis.count, taps->taps = image_taps(filter, axis);
  const u64 n = static_cast<u64>(axis.count), all = n * static_cast<u64>(taps->taps);
  taps->first = static_cast<i32*>(p.keep(n * 2 * sizeof(i32) + 8));
  taps->weight = p.keep(all * sizeof(i32) + 8);
  f64* row = static_cast<f64*>(p.keep(static_cast<u64>(taps->taps) * sizeof(f64)));
  if (!taps->first || !taps->weight || !row) return p.out_of_memory();
  taps->used = taps->first + axis.count;
  fill_image_taps(filter, axis, across, *taps, row);
  return Status::ok;
}

i64 element_size(Arithmetic arithmetic) { return arithmetic == Arithmetic::pillow || arithmetic == Arithmetic::nearest ? 1 : 4; }

Status prepare_lines(Prepare& p, const PictureParams& params, State& s) {
  const Tensor& x = p.in(0);
  const ImageGeometry& g = s.geometry;
  const ImageAxis down = axis_of(x.dims[0], g.resized.height, g.top, g.window.height);
  const ImageAxis across = axis_of(x.dims[1], g.resized.width, g.left, g.window.width);
  s.y = max_of(-g.top, 0), s.x = max_of(-g.left, 0), s.rows = down.count, s.columns = across.count;
  const ImageFilter filter = image_filter(static_cast<ImageMethod>(params.method), params.antialias != 0, down, across);
  s.kernels = kernels_of(filter.arithmetic, p.isa());
  EDGEORT_TRY(make_taps(p, filter, down, false, &s.down));
  EDGEORT_TRY(make_taps(p, filter, across, true, &s.across));
  s.pixels = static_cast<i32>(min_of(s.down.taps * s.across.taps, 1 << 30));
  s.four = s.down.taps == 2 && s.across.taps == 2;
  s.columns_first = filter.columns_first;
  const i64 width = s.columns_first ? x.dims[1] : s.columns;  // of what lies between the passes
  s.pitch = round_up(width * s.worked * element_size(filter.arithmetic) + kSpareBytes, 64);
  s.ring = static_cast<u64>(round_up(s.down.taps * static_cast<i64>(sizeof(void*)), 64));
  s.line = s.ring + static_cast<u64>(s.down.taps) * static_cast<u64>(s.pitch);
  s.result = s.line + (s.gray || s.columns_first ? static_cast<u64>(round_up(x.dims[1] * s.worked + 8, 64)) : 0);
  p.thread_scratch(s.result + static_cast<u64>(s.columns * s.worked) + 64);
  return Status::ok;
}

Status prepare(Prepare& p) {
  const auto& params = p.params<PictureParams>();
  EDGEORT_TRY(check_params(p, params));
  EDGEORT_TRY(check_operands(p, params));
  State* s = p.state<State>();
  if (!s) return p.out_of_memory();
  const Tensor& x = p.in(0);
  s->geometry = image_geometry({x.dims[0], x.dims[1]}, static_cast<ImageFit>(params.fit), {params.size[0], params.size[1]},
                               {params.crop[0], params.crop[1]});
  const ImageGeometry& g = s->geometry;
  if (g.resized.height > kMostResized || g.resized.width > kMostResized) {
    return p.fail("a picture of %lldx%lld would become too large", static_cast<long long>(x.dims[0]), static_cast<long long>(x.dims[1]));
  }
  s->source = params.source, s->channels = params.channels;
  s->gray = params.luma[0] || params.luma[1] || params.luma[2] || params.luma[3];
  s->worked = s->gray ? 1 : params.source;
  const i64 last[4] = {1, g.window.height, g.window.width, params.channels};
  const i64 first[4] = {1, params.channels, g.window.height, g.window.width};
  EDGEORT_TRY(p.set(0, params.quantised ? DType::q8 : p.in(1).dtype, params.channels_last ? last : first, 4));
  return prepare_lines(p, params, *s);
}

// One line of the picture in grey.
void gray_line(const State& s, const i32* luma, const u8* line, i64 width, u8* out) {
  for (i64 x = 0; x < width; ++x, line += s.source) {
    i32 sum = 1 << (kLumaBits - 1);
    for (int c = 0; c < s.source; ++c) sum += luma[c] * line[c];
    const i32 level = sum >> kLumaBits;
    out[x] = static_cast<u8>(level > 255 ? 255 : level);
  }
}

// Lines of a picture, resampled along their length, of which as many are kept as an output line needs.
class Ring {
 public:
  Ring(const Run& r, const State& s, u8* scratch) : r_(r), s_(s), scratch_(scratch) {}

  // The bytes of the result's picture line `row`, before the table.
  const u8* line(i64 row) {
    const Taps& down = s_.down;
    const i64 first = down.first[row], used = down.used[row];
    const void** lines = reinterpret_cast<const void**>(scratch_);
    made_ = max_of(made_, inside(first));
    for (i64 t = 0; t < used; ++t) {
      const i64 wanted = inside(first + t);
      while (made_ <= wanted && !is_source()) make(made_++);
      lines[t] = is_source() ? source(wanted) : slot(wanted);
    }
    u8 *result = scratch_ + s_.result, *between = scratch_ + s_.line;
    const void* weight = static_cast<const i32*>(down.weight) + row * down.taps;  // f32 are as wide
    const i64 width = s_.columns_first ? s_.across.inputs : s_.columns;
    s_.kernels.down({lines, weight, used, width * s_.worked, s_.pixels, s_.four}, s_.columns_first ? between : result);
    if (s_.columns_first) s_.kernels.across(between, 8, s_.across, s_.worked, result);
    return result;
  }

 private:
  i64 inside(i64 row) const { return max_of(0, min_of(row, s_.down.inputs - 1)); }
  // Whether lines are those of the picture itself.
  bool is_source() const { return s_.columns_first && !s_.gray; }
  const u8* source(i64 row) const { return r_.in(0).as<const u8>() + row * s_.across.inputs * s_.source; }
  u8* slot(i64 row) const { return scratch_ + s_.ring + (row % s_.down.taps) * s_.pitch; }

  void make(i64 row) {
    const u8* line = source(row);
    i64 spare = min_of(4, (s_.down.inputs - row - 1) * s_.across.inputs * s_.source);
    if (s_.gray) {
      u8* to = s_.columns_first ? slot(row) : scratch_ + s_.line;
      gray_line(s_, r_.params<PictureParams>().luma, line, s_.across.inputs, to);
      line = to;
      spare = 4;
    }
    if (!s_.columns_first) s_.kernels.across(line, spare, s_.across, s_.worked, slot(row));
  }

  const Run& r_;
  const State& s_;
  u8* scratch_;
  i64 made_ = 0;  // the next line that is
};

// n entries of a table, for levels `apart` bytes from each other, to places `step` from each other. Nothing overlaps: else each store
// would have the compiler read again what the loop goes by.
template <class T>
void look_up(const T* __restrict levels, const u8* __restrict from, i64 apart, i64 n, T flip, T* __restrict to, i64 step) {
  const auto entries = [&](i64 apart, i64 step) __attribute__((always_inline)) {
#pragma clang loop unroll_count(8)
    for (i64 x = 0; x < n; ++x) to[x * step] = static_cast<T>(levels[from[x * apart]] + flip);
  };
  if (step > 1) return entries(apart, step);
  if (apart == 1) return entries(1, 1);
  if (apart == 3) return entries(3, 1);
  entries(4, 1);
}

// Lines [begin, end) of the result: a table's entry of each level, planes apart or channels together.
template <class T>
void write_lines(const Run& r, const State& s, i64 begin, i64 end, Ring& ring) {
  const auto& params = r.params<PictureParams>();
  const T* table = r.in(1).as<const T>();
  T* out = r.out(0).as<T>();
  const i64 height = s.geometry.window.height, width = s.geometry.window.width;
  const T flip = params.quantised ? static_cast<T>(kQ8Bias) : T{0};
  const i64 step = params.channels_last ? s.channels : 1;
  for (i64 y = begin; y < end; ++y) {
    const bool inside = y >= s.y && y < s.y + s.rows && s.columns > 0;
    const u8* line = inside ? ring.line(y - s.y) : nullptr;
    for (int c = 0; c < s.channels; ++c) {
      const T* levels = table + c * 256;
      T* to = params.channels_last ? out + y * width * s.channels + c : out + (c * height + y) * width;
      const T border = static_cast<T>(levels[params.fill] + flip);
      const i64 left = inside ? s.x : width, right = inside ? s.x + s.columns : width;
      const u8* from = inside ? line + params.map[c] : nullptr;
      for (i64 x = 0; x < left; ++x) to[x * step] = border;
      if (inside) look_up(levels, from, s.worked, right - left, flip, to + left * step, step);
      for (i64 x = right; x < width; ++x) to[x * step] = border;
    }
  }
}

void run(Run& r) {
  const State& s = r.state<State>();
  const i64 height = s.geometry.window.height;
  const i64 tasks = r.threads() == 1 ? 1 : min_of(ceil_div(height, kGrain), 2 * r.threads());  // each begins with lines of its neighbour's
  r.parallel(tasks, [&](i64 task, int thread) {
    const i64 begin = height * task / tasks, end = height * (task + 1) / tasks;
    Ring ring(r, s, static_cast<u8*>(r.thread_scratch(thread)));
    switch (size_of(r.out(0).dtype)) {
      case 4:
        return write_lines<u32>(r, s, begin, end, ring);
      case 2:
        return write_lines<u16>(r, s, begin, end, ring);
      default:
        return write_lines<u8>(r, s, begin, end, ring);
    }
  });
}

}  // namespace

extern const OpDef kPicture;
const OpDef kPicture = {"Picture", sizeof(PictureParams), prepare, run};

}  // namespace edgeort
