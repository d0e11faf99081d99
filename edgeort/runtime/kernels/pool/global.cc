// GlobalAveragePool, GlobalMaxPool, GlobalLpPool: all pixels of an image. AxisParams: flag is 1 for channels first, value is
// p. The average of a q8 is that of its integers, float32.
#include "../../core/op.h"
#include "pool.h"

namespace edgeort {

EDGEORT_KERNELS(GlobalFn, pool_global_max)
EDGEORT_KERNELS(GlobalFn, pool_global_average)
EDGEORT_KERNELS(GlobalFn, pool_global_average_q8)
EDGEORT_KERNELS(GlobalFn, pool_global_l1)
EDGEORT_KERNELS(GlobalFn, pool_global_l2)
EDGEORT_KERNELS(GlobalFn, pool_global_lp)

namespace {

constexpr i64 kChannelsPerTask = 64;

struct State {
  i64 batch, pixels, channels;
  GlobalFn fn;
  f32 value;
};

Status bind(Prepare& p, State** state, bool integers = false) {
  if (!p.has(0) || !p.wants(0)) return p.fail("it needs an input and an output");
  const Tensor& x = p.in(0);
  if (x.dtype != DType::f32 && !(integers && x.dtype == DType::q8)) return p.fail("its input must be float32");
  if (x.rank < 2) return p.fail("its input has rank %d; it needs 2 or more", x.rank);
  State* s = *state = p.state<State>();
  if (!s) return p.out_of_memory();
  const bool channels_first = p.params<AxisParams>().flag != 0;
  s->batch = channels_first ? x.dims[0] * x.dims[1] : x.dims[0];
  s->channels = channels_first ? 1 : x.dims[x.rank - 1];
  s->pixels = channels_first ? count(x, 2, x.rank) : count(x, 1, x.rank - 1);
  Tensor y = x;
  for (int d = channels_first ? 2 : 1; d < (channels_first ? x.rank : x.rank - 1); ++d) y.dims[d] = 1;
  return p.set(0, DType::f32, y.dims, y.rank);
}

Status prepare_max(Prepare& p) {
  State* s;
  EDGEORT_TRY(bind(p, &s));
  s->fn = pool_global_max(p.isa());
  return Status::ok;
}

Status prepare_average(Prepare& p) {
  State* s;
  EDGEORT_TRY(bind(p, &s, true));
  s->fn = p.in(0).dtype == DType::q8 ? pool_global_average_q8(p.isa()) : pool_global_average(p.isa());
  s->value = static_cast<f32>(s->pixels);
  return Status::ok;
}

Status prepare_lp(Prepare& p) {
  State* s;
  EDGEORT_TRY(bind(p, &s));
  const int isa = p.isa();
  s->value = p.params<AxisParams>().value;
  s->fn = s->value == 1.0f ? pool_global_l1(isa) : s->value == 2.0f ? pool_global_l2(isa) : pool_global_lp(isa);
  return Status::ok;
}

void run(Run& r) {
  const State& s = r.state<State>();
  if (count(r.out(0)) == 0) return;
  const i64 blocks = ceil_div(s.channels, kChannelsPerTask);
  const u8* x = r.in(0).as<const u8>();
  const i64 size = static_cast<i64>(size_of(r.in(0).dtype));
  f32* y = r.out(0).as<f32>();
  r.ranges(s.batch * blocks, max_of(1, 16384 / (kChannelsPerTask * (s.pixels + 1))), [&](i64 begin, i64 end, int) {
    for (i64 i = begin; i < end; ++i) {
      const i64 n = i / blocks, c = i % blocks * kChannelsPerTask;
      s.fn(x + (n * s.pixels * s.channels + c) * size, s.pixels, s.channels, min_of(kChannelsPerTask, s.channels - c), s.value,
           y + n * s.channels + c);
    }
  });
}

}  // namespace

extern const OpDef kGlobalMaxPool;
const OpDef kGlobalMaxPool = {"GlobalMaxPool", sizeof(AxisParams), prepare_max, run};

extern const OpDef kGlobalAveragePool;
const OpDef kGlobalAveragePool = {"GlobalAveragePool", sizeof(AxisParams), prepare_average, run};

extern const OpDef kGlobalLpPool;
const OpDef kGlobalLpPool = {"GlobalLpPool", sizeof(AxisParams), prepare_lp, run};

}  // namespace edgeort
