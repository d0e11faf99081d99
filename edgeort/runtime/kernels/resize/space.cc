// DepthToSpace and SpaceToDepth: permutations of the six axes n, c, h, w and a, b, the block's rows and columns.
// AxisParams: axis is the block size; flag: bit 0 channels first, bit 1 column-row-depth order.
#include <string.h>

#include "../../core/op.h"
#include "pick.h"

namespace edgeort {

EDGEORT_KERNELS(PickFn, resize_pick)

namespace {

constexpr int kAxes = 6;

struct State {
  int axes;
  i64 dims[kAxes], strides[kAxes];  // of the output's axes; strides in the input, in elements
  i32* places;                      // of a row whose elements are picked one by one, else null: where they are in the input
  PickFn pick;

  // Adds an inner axis, which joins the one before when they lie in the input as in the output.
  void add(i64 dim, i64 stride) {
    if (axes > 0 && strides[axes - 1] == dim * stride) {
      dims[axes - 1] *= dim;
      strides[axes - 1] = stride;
    } else {
      dims[axes] = dim;
      strides[axes++] = stride;
    }
  }
};

constexpr i64 kShort = 32;  // elements of a row that is too short to be copied by itself
constexpr i64 kMostPlaces = 4096;

// Joins the last axes to one whose places stand in a table, where the rows are short.
Status join_rows(Prepare& p, State& s) {
  int first = s.axes - 1;
  i64 n = s.dims[first], reach = (n - 1) * s.strides[first];
  if (n >= kShort || size_of(p.in(0).dtype) != sizeof(f32) || count(p.in(0)) == 0) return Status::ok;
  const auto farther = [&](int axis) { return reach + (s.dims[axis] - 1) * s.strides[axis]; };
  while (first > 0 && n * s.dims[first - 1] <= kMostPlaces && farther(first - 1) <= 0x7fffffff) {
    reach = farther(--first);
    n *= s.dims[first];
  }
  if (first == s.axes - 1) return Status::ok;
  s.places = static_cast<i32*>(p.keep(static_cast<u64>(n) * sizeof(i32)));
  if (!s.places) return p.out_of_memory();
  for (i64 i = 0; i < n; ++i) {
    i64 place = 0;
    for (i64 rest = i, axis = s.axes - 1; axis >= first; rest /= s.dims[axis--]) place += rest % s.dims[axis] * s.strides[axis];
    s.places[i] = static_cast<i32>(place);
  }
  s.pick = resize_pick(p.isa());
  s.axes = first + 1;
  s.dims[first] = n;
  return Status::ok;
}

// The axes of input and output from the outermost to the innermost.
struct Order {
  const char* in;
  const char* out;
};

constexpr Order kToSpace[] = {
    {"nhwabc", "nhawbc"},
    {"nabchw", "nchawb"},
    {"nhwcab", "nhawbc"},
    {"ncabhw", "nchawb"},
};
constexpr Order kToDepth[] = {
    {"nhawbc", "nhwabc"},
    {"nchawb", "nabchw"},
    {"nhawbc", "nhwcab"},
    {"nchawb", "ncabhw"},
};

// to_space: the input's channels hold the block; else its pixels do.
Status bind(Prepare& p, const Order& order, bool channels_first, bool to_space) {
  const i64 block = p.params<AxisParams>().axis;
  if (!p.has(0) || !p.wants(0)) return p.fail("it needs an input and an output");
  const Tensor& x = p.in(0);
  if (x.rank != 4) return p.fail("its input has rank %d, not 4", x.rank);
  if (block < 1 || block > 1 << 15) return p.fail("its block size is %lld", static_cast<long long>(block));
  i64 n = x.dims[0], c = x.dims[channels_first ? 1 : 3], h = x.dims[channels_first ? 2 : 1], w = x.dims[channels_first ? 3 : 2];
  if (to_space ? c % (block * block) != 0 : h % block != 0 || w % block != 0) return p.fail("its shape does not split into blocks");
  if (to_space) {
    c /= block * block;
  } else {
    h /= block;
    w /= block;
  }
  const auto size_of_axis = [&](char axis) { return axis == 'n' ? n : axis == 'c' ? c : axis == 'h' ? h : axis == 'w' ? w : block; };
  auto* s = p.state<State>();
  if (!s) return p.out_of_memory();
  for (int i = 0; i < kAxes; ++i) {
    i64 stride = 1;
    for (int k = kAxes - 1; order.in[k] != order.out[i]; --k) stride *= size_of_axis(order.in[k]);
    s->add(size_of_axis(order.out[i]), stride);
  }
  const i64 out_h = to_space ? h * block : h, out_w = to_space ? w * block : w, out_c = to_space ? c : c * block * block;
  EDGEORT_TRY(join_rows(p, *s));
  const i64 first[] = {n, out_c, out_h, out_w}, last[] = {n, out_h, out_w, out_c};
  return p.set(0, x.dtype, channels_first ? first : last, 4);
}

Status prepare_depth_to_space(Prepare& p) {
  const i64 flag = p.params<AxisParams>().flag & 3;
  return bind(p, kToSpace[flag], flag & 1, true);
}

Status prepare_space_to_depth(Prepare& p) {
  const i64 flag = p.params<AxisParams>().flag & 3;
  return bind(p, kToDepth[flag], flag & 1, false);
}

// A row of n elements of `size` bytes, `stride` elements apart in x.
void copy_row(const u8* x, u8* y, i64 n, i64 stride, i64 size) {
  if (stride == 1) {
    memcpy(y, x, static_cast<size_t>(n * size));
  } else if (size == 4) {
    for (i64 i = 0; i < n; ++i) memcpy(y + i * 4, x + i * stride * 4, 4);
  } else {
    for (i64 i = 0; i < n; ++i) memcpy(y + i * size, x + i * stride * size, static_cast<size_t>(size));
  }
}

void run(Run& r) {
  const State& s = r.state<State>();
  const Tensor& y = r.out(0);
  const int last = s.axes - 1;
  const i64 total = count(y), size = static_cast<i64>(size_of(y.dtype)), n = s.dims[last];
  if (total == 0) return;
  r.ranges(total / n, max_of(1, 16384 / n), [&](i64 begin, i64 end, int) {
    i64 at[kAxes] = {}, offset = 0;
    for (i64 rest = begin, i = last - 1; i >= 0; --i) {
      at[i] = rest % s.dims[i];
      rest /= s.dims[i];
      offset += at[i] * s.strides[i];
    }
    for (i64 row = begin; row < end; ++row) {
      if (s.places) {
        s.pick(r.in(0).as<const f32>() + offset, s.places, n, y.as<f32>() + row * n);
      } else {
        copy_row(r.in(0).as<const u8>() + offset * size, y.as<u8>() + row * n * size, n, s.strides[last], size);
      }
      for (int i = last - 1; i >= 0; --i) {
        offset += s.strides[i];
        if (++at[i] < s.dims[i]) break;
        offset -= at[i] * s.strides[i];
        at[i] = 0;
      }
    }
  });
}

}  // namespace

extern const OpDef kDepthToSpace;
const OpDef kDepthToSpace = {"DepthToSpace", sizeof(AxisParams), prepare_depth_to_space, run};

extern const OpDef kSpaceToDepth;
const OpDef kSpaceToDepth = {"SpaceToDepth", sizeof(AxisParams), prepare_space_to_depth, run};

}  // namespace edgeort
