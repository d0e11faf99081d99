// Sin and Cos of float64, of at most 1 ulp up to 2^45 and NaN beyond: Taylor's series after a reduction to pi/4 by a pi/2 of three parts
// (Cody and Waite 1980).
#include "ops.h"

namespace edgeort {
namespace {

constexpr f64 kHalfPi[] = {0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54, -0x1.f1976b7ed8fbcp-110};
constexpr f64 kMagic = 0x1.8p52;   // adding it rounds to an integer
constexpr f64 kFarthest = 0x1p45;  // where x / (pi/2) still has the bits that round it
constexpr f64 kSine[] = {-1.0 / 1307674368000, 1.0 / 6227020800, -1.0 / 39916800, 1.0 / 362880, -1.0 / 5040, 1.0 / 120, -1.0 / 6};
constexpr f64 kCosine[] = {-1.0 / 87178291200, 1.0 / 479001600, -1.0 / 3628800, 1.0 / 40320, -1.0 / 720, 1.0 / 24};

// The sine of `turns` quarters more than x.
f64 sine(f64 x, i64 turns) {
  if (!(x >= -kFarthest && x <= kFarthest)) return __builtin_nan("");
  const f64 k = __builtin_fma(x, 0x1.45f306dc9c883p-1, kMagic) - kMagic;
  const f64 first = __builtin_fma(-k, kHalfPi[0], x);  // exact
  const f64 second = k * kHalfPi[1], r = first - second, taken = r - first;
  const f64 lost = (first - (r - taken)) - (second + taken) - __builtin_fma(k, kHalfPi[1], -second);  // of both roundings
  const f64 rest = __builtin_fma(-k, kHalfPi[2], lost);
  const f64 z = r * r, half = 0.5 * z;
  const i64 quarter = (static_cast<i64>(k) + turns) & 3;
  f64 y;
  if (quarter & 1) {
    f64 p = 1.0 / 20922789888000;  // 1 / 16!
    for (const f64 c : kCosine) p = __builtin_fma(p, z, c);
    const f64 large = 1 - half;
    y = large + ((1 - large - half) + __builtin_fma(z * z, p, -r * rest));
  } else {
    f64 p = 1.0 / 355687428096000;  // 1 / 17!
    for (const f64 c : kSine) p = __builtin_fma(p, z, c);
    y = r + __builtin_fma(r * z, p, rest * (1 - half));
  }
  return quarter & 2 ? -y : y;
}

f64 sin_of(f64 x) { return x == 0 ? x : sine(x, 0); }  // keeps -0
f64 cos_of(f64 x) { return sine(x, 1); }

void sin64(void* out, const void* a, const void*, i64 n) { each_one<f64, f64>(out, a, n, sin_of); }
void cos64(void* out, const void* a, const void*, i64 n) { each_one<f64, f64>(out, a, n, cos_of); }

constexpr TypedOp kSin = {EDGEORT_F64(sin64), false, false};
constexpr TypedOp kCos = {EDGEORT_F64(cos64), false, false};

}  // namespace

extern const OpDef kSin64, kCos64;
const OpDef kSin64 = {"Sin64", 0, prepare_op<kSin>, run_typed};
const OpDef kCos64 = {"Cos64", 0, prepare_op<kCos>, run_typed};

}  // namespace edgeort
