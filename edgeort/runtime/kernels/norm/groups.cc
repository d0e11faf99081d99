// GroupNorm: each image's channels in `axis` groups (0: a group each, the instance norm); flag: channels first; value: epsilon.
//
// The sequence that a group is normalised over runs as it lies in memory: over (channel, pixel) when channels are first, over
// (pixel, channel) when they are last.
#include <string.h>

#include "rows.h"

namespace edgeort {

EDGEORT_KERNELS(StatisticsFn, norm_statistics)
EDGEORT_KERNELS(ApplyFn, norm_apply)
EDGEORT_KERNELS(ChannelsFn, norm_channels)

namespace {

constexpr i64 kChannelsPerTask = 64;

struct State {
  StatisticsFn statistics;
  ApplyFn apply;
  ChannelsFn normalise_channels;
  i64 batch, channels, pixels, groups, width;  // width: channels of a group
  bool channels_first, per_group;              // per_group: one scale and bias a group (opset 18), not a channel
  f32 epsilon;
};

Status prepare(Prepare& p) {
  const auto& params = p.params<AxisParams>();
  if (!p.has(0) || !p.has(1) || !p.has(2) || !p.wants(0)) return p.fail("it needs data, scale and bias");
  const Tensor& x = p.in(0);
  if (x.dtype != DType::f32 || x.rank < 2) return p.fail("its input must be float32 of rank 2 or more");
  auto* s = p.state<State>();
  if (!s) return p.out_of_memory();
  s->statistics = norm_statistics(p.isa());
  s->apply = norm_apply(p.isa());
  s->normalise_channels = norm_channels(p.isa());
  s->channels_first = params.flag != 0;
  s->batch = x.dims[0];
  s->channels = x.dims[s->channels_first ? 1 : x.rank - 1];
  s->channels_first |= s->channels == 1;  // the same order
  s->pixels = params.flag ? count(x, 2, x.rank) : count(x, 1, x.rank - 1);
  s->epsilon = params.value;
  s->groups = params.axis == 0 ? s->channels : params.axis;
  if (s->groups < 0 || (s->groups > 0 && s->channels % s->groups)) return p.fail("its channels do not split into groups");
  s->width = s->groups > 0 ? s->channels / s->groups : 0;
  s->per_group = params.axis != 0 && count(p.in(1)) == s->groups && s->width != 1;
  for (int i = 1; i <= 2; ++i) EDGEORT_TRY(check_factor(p, i, s->per_group ? s->groups : s->channels, false));
  EDGEORT_TRY(p.same(0, 0));
  p.overwrite(0, 0);
  if (count(x) > 0 && !s->channels_first && s->width > 1) {
    p.thread_scratch(static_cast<u64>(s->pixels * s->width) * sizeof(f32));
    if (s->per_group) p.scratch(static_cast<u64>(2 * s->channels) * sizeof(f32));
  }
  return Status::ok;
}

void run_first(const Run& r, const State& s, const f32* x, f32* y) {
  const f32* scale = r.in(1).as<const f32>();
  const f32* bias = r.in(2).as<const f32>();
  const i64 size = s.width * s.pixels;
  r.ranges(s.batch * s.groups, rows_per_task(size), [&](i64 begin, i64 end, int) {
    for (i64 i = begin; i < end; ++i) {
      f32 mean, inv;
      s.statistics(x + i * size, size, s.epsilon, &mean, &inv);
      for (i64 k = 0; k < s.width; ++k) {
        const i64 group = i % s.groups, at = s.per_group ? group : group * s.width + k, offset = i * size + k * s.pixels;
        s.apply(x + offset, s.pixels, mean, inv, {scale + at, 0}, {bias + at, 0}, y + offset);
      }
    }
  });
}

// One channel a group: vectors of channels side by side.
void run_channels(const Run& r, const State& s, const f32* x, f32* y) {
  const i64 blocks = ceil_div(s.channels, kChannelsPerTask);
  r.ranges(s.batch * blocks, 1, [&](i64 begin, i64 end, int) {
    for (i64 i = begin; i < end; ++i) {
      const i64 c = i % blocks * kChannelsPerTask, offset = i / blocks * s.pixels * s.channels + c;
      s.normalise_channels(x + offset, s.pixels, s.channels, min_of(kChannelsPerTask, s.channels - c), s.epsilon,
                           r.in(1).as<const f32>() + c, r.in(2).as<const f32>() + c, y + offset);
    }
  });
}

// Several channels a group: they are gathered into one row.
void run_last(const Run& r, const State& s, const f32* x, f32* y) {
  const f32* scale = r.in(1).as<const f32>();
  const f32* bias = r.in(2).as<const f32>();
  if (s.per_group) {
    f32* spread = static_cast<f32*>(r.scratch());
    for (i64 c = 0; c < s.channels; ++c) spread[c] = scale[c / s.width], spread[s.channels + c] = bias[c / s.width];
    scale = spread;
    bias = spread + s.channels;
  }
  const i64 size = s.width * s.pixels;
  r.ranges(s.batch * s.groups, 1, [&](i64 begin, i64 end, int thread) {
    f32* row = static_cast<f32*>(r.thread_scratch(thread));
    for (i64 i = begin; i < end; ++i) {
      const i64 first = i % s.groups * s.width, offset = i / s.groups * s.pixels * s.channels + first;
      for (i64 k = 0; k < s.pixels; ++k) memcpy(row + k * s.width, x + offset + k * s.channels, static_cast<size_t>(s.width) * sizeof(f32));
      f32 mean, inv;
      s.statistics(row, size, s.epsilon, &mean, &inv);
      for (i64 k = 0; k < s.pixels; ++k) {
        s.apply(row + k * s.width, s.width, mean, inv, {scale + first, 1}, {bias + first, 1}, y + offset + k * s.channels);
      }
    }
  });
}

void run(Run& r) {
  const State& s = r.state<State>();
  if (count(r.in(0)) == 0) return;
  const f32* x = r.in(0).as<const f32>();
  f32* y = r.out(0).as<f32>();
  if (s.channels_first) return run_first(r, s, x, y);
  return s.width == 1 ? run_channels(r, s, x, y) : run_last(r, s, x, y);
}

}  // namespace

extern const OpDef kGroupNorm;
const OpDef kGroupNorm = {"GroupNorm", sizeof(AxisParams), prepare, run};

}  // namespace edgeort
