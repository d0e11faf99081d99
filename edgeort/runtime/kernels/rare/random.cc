// RandomUniform: value + (value2 - value) * u, u of 24 bits of splitmix64 (Steele et al. 2014) of the seed and the position.
// Every run draws the same numbers. Its operand is the shape.
#include "../move/args.h"

namespace edgeort {
namespace {

u64 mix(u64 x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

Status prepare(Prepare& p) {
  EDGEORT_TRY(need(p, 1, 1));
  Integers shape;
  EDGEORT_TRY(integers_of(p, 0, kMaxRank, &shape));
  i64 dims[kMaxRank];
  for (i64 d = 0; d < shape.n; ++d) dims[d] = shape[d];
  return p.set(0, DType::f32, dims, static_cast<int>(shape.n));
}

void run(Run& r) {
  const auto& params = r.params<AxisParams>();
  f32* y = r.out(0).as<f32>();
  const u64 seed = mix(static_cast<u64>(params.axis));
  r.ranges(count(r.out(0)), 4096, [&](i64 begin, i64 end, int) {
    for (i64 i = begin; i < end; ++i) {
      const f32 u = static_cast<f32>(mix(seed ^ static_cast<u64>(i)) >> 40) * 0x1p-24f;
      y[i] = __builtin_fmaf(params.value2 - params.value, u, params.value);
    }
  });
}

}  // namespace

extern const OpDef kRandomUniform;
const OpDef kRandomUniform = {"RandomUniform", sizeof(AxisParams), prepare, run};

}  // namespace edgeort
