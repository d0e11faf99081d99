// DeformConv (Dai et al. 2017, arXiv:1703.06211; Zhu et al. 2018, arXiv:1811.11168, for the mask), channels first. Operands: x
// [n, c, h, w], weights [o, c / groups, kh, kw], offsets [n, offset groups x taps x 2, oh, ow], bias [o] or none, mask [n, offset
// groups x taps, oh, ow] or none. A sum runs over (channel, kh, kw). Parameters: groups, offset groups, strides, pads, dilations.
#include "../move/args.h"

namespace edgeort {
namespace {

struct Shape {
  i64 n, c, h, w, o, kh, kw, oh, ow, groups, offset_groups, stride[2], pad[2], dilation[2];
};

Status bind(Prepare& p, Shape* s) {
  EDGEORT_TRY(need(p, 3, 1));
  const Tensor &x = p.in(0), &weights = p.in(1), &offsets = p.in(2);
  for (int i = 0; i < p.inputs(); ++i) {
    if (p.has(i) && (p.in(i).dtype != DType::f32 || p.in(i).rank != (i == 3 ? 1 : 4))) return p.fail("operand %d is of another form", i);
  }
  const i64* v = p.params<ListParams>().values;
  *s = {x.dims[0],       x.dims[1],       x.dims[2], x.dims[3], weights.dims[0], weights.dims[2], weights.dims[3],
        offsets.dims[2], offsets.dims[3], v[0],      v[1],      {v[2], v[3]},    {v[4], v[5]},    {v[6], v[7]}};
  if (s->groups < 1 || s->offset_groups < 1 || s->c % s->groups || s->o % s->groups || s->c % s->offset_groups ||
      weights.dims[1] != s->c / s->groups)
    return p.fail("its channels do not divide into groups");
  const i64 taps = s->kh * s->kw * s->offset_groups;
  if (offsets.dims[0] != s->n || offsets.dims[1] != 2 * taps) return p.fail("its offsets have another shape");
  if (p.has(3) && p.in(3).dims[0] != s->o) return p.fail("its bias has another size");
  const i64 mask[4] = {s->n, taps, s->oh, s->ow};
  for (int d = 0; p.has(4) && d < 4; ++d) {
    if (p.in(4).dims[d] != mask[d]) return p.fail("its mask has another shape");
  }
  for (int d = 0; d < 2; ++d) {
    const i64 most = i64{1} << 30;
    if (s->stride[d] < 1 || s->dilation[d] < 1 || s->stride[d] > most || s->dilation[d] > most || s->pad[d] < -most || s->pad[d] > most)
      return p.fail("a stride, pad or dilation is out of range");
  }
  return Status::ok;
}

Status prepare(Prepare& p) {
  auto* s = p.state<Shape>();
  if (!s) return p.out_of_memory();
  EDGEORT_TRY(bind(p, s));
  const i64 dims[4] = {s->n, s->o, s->oh, s->ow};
  return p.set(0, DType::f32, dims, 4);
}

// Between the four pixels around (y, x); those outside the picture are 0.
f32 sample(const f32* plane, i64 h, i64 w, f32 y, f32 x) {
  if (!(y > -1 && y < static_cast<f32>(h) && x > -1 && x < static_cast<f32>(w))) return 0;
  const f32 top = __builtin_floorf(y), left = __builtin_floorf(x), dy = y - top, dx = x - left;
  const i64 y0 = static_cast<i64>(top), x0 = static_cast<i64>(left);
  const auto at = [&](i64 i, i64 j) { return i >= 0 && i < h && j >= 0 && j < w ? plane[i * w + j] : 0.0f; };
  return (1 - dy) * (1 - dx) * at(y0, x0) + (1 - dy) * dx * at(y0, x0 + 1) + dy * (1 - dx) * at(y0 + 1, x0) + dy * dx * at(y0 + 1, x0 + 1);
}

f32 output(const Run& r, const Shape& s, i64 n, i64 o, i64 y, i64 x) {
  const i64 taps = s.kh * s.kw, per_group = s.c / s.groups, first = o / (s.o / s.groups) * per_group, area = s.oh * s.ow, at = y * s.ow + x;
  f32 acc = 0;
  for (i64 c = 0; c < per_group; ++c) {
    const f32* plane = r.in(0).as<const f32>() + (n * s.c + first + c) * s.h * s.w;
    const i64 group = (first + c) / (s.c / s.offset_groups);
    for (i64 tap = 0; tap < taps; ++tap) {
      const i64 offset = (n * s.offset_groups + group) * taps + tap;
      const f32* moved = r.in(2).as<const f32>() + 2 * offset * area + at;
      const f32 py = static_cast<f32>(y * s.stride[0] - s.pad[0] + tap / s.kw * s.dilation[0]) + moved[0];
      const f32 px = static_cast<f32>(x * s.stride[1] - s.pad[1] + tap % s.kw * s.dilation[1]) + moved[area];
      f32 value = sample(plane, s.h, s.w, py, px);
      if (r.has(4)) value *= r.in(4).as<const f32>()[offset * area + at];
      acc = __builtin_fmaf(r.in(1).as<const f32>()[(o * per_group + c) * taps + tap], value, acc);
    }
  }
  return r.has(3) ? acc + r.in(3).as<const f32>()[o] : acc;
}

void run(Run& r) {
  const Shape& s = r.state<Shape>();
  f32* out = r.out(0).as<f32>();
  r.ranges(s.n * s.o * s.oh, 1, [&](i64 begin, i64 end, int) {
    for (i64 line = begin; line < end; ++line) {
      for (i64 x = 0; x < s.ow; ++x) out[line * s.ow + x] = output(r, s, line / s.oh / s.o, line / s.oh % s.o, line % s.oh, x);
    }
  });
}

}  // namespace

extern const OpDef kDeformConv;
const OpDef kDeformConv = {"DeformConv", sizeof(ListParams), prepare, run};

}  // namespace edgeort
