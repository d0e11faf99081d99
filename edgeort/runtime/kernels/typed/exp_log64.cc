// Exp and Log of float64, of at most 2 ulp: polynomials after exact reductions (Cody and Waite 1980).
#include <string.h>

#include "ops.h"

namespace edgeort {
namespace {

u64 bits_of(f64 x) {
  u64 bits;
  memcpy(&bits, &x, sizeof(bits));
  return bits;
}
f64 float_of(u64 bits) {
  f64 x;
  memcpy(&x, &bits, sizeof(x));
  return x;
}

constexpr f64 kLn2High = 0x1.62e42fefa3800p-1, kLn2Low = 0x1.ef35793c76730p-45;  // their sum is ln 2, the first of 42 bits
constexpr f64 kMagic = 0x1.8p52;                                                 // adding it rounds to an integer
constexpr f64 kFactorials[] = {1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720,
                               1.0 / 120,       1.0 / 24,       1.0 / 6,       0.5,          1.0,         1.0};
constexpr f64 kOdd[] = {1.0 / 23, 1.0 / 21, 1.0 / 19, 1.0 / 17, 1.0 / 15, 1.0 / 13, 1.0 / 11, 1.0 / 9, 1.0 / 7, 1.0 / 5, 1.0 / 3};

f64 exp_of(f64 x) {
  if (x != x) return x;
  if (x > 709.782712893384) return __builtin_inf();
  if (x < -745.1332191019412) return 0;
  const f64 shifted = __builtin_fma(x, 0x1.71547652b82fep0, kMagic), k = shifted - kMagic;
  const f64 r = __builtin_fma(k, -kLn2Low, __builtin_fma(k, -kLn2High, x));
  f64 p = 1.0 / 6227020800;  // 1 / 13!
  for (const f64 c : kFactorials) p = __builtin_fma(p, r, c);
  // In two steps, so that a result below the normal numbers is rounded once.
  const i64 n = static_cast<i64>(k), half = n / 2;
  return p * float_of(static_cast<u64>(1023 + half) << 52) * float_of(static_cast<u64>(1023 + n - half) << 52);
}

f64 log_of(f64 x) {
  if (x != x || x == __builtin_inf()) return x;
  if (x <= 0) return x == 0 ? -__builtin_inf() : __builtin_nan("");
  i64 k = 0;
  if (x < 0x1p-1022) x *= 0x1p54, k = -54;
  u64 b = bits_of(x);
  const u64 up = (b & 0xfffffffffffff) > 0x6a09e667f3bcc;  // above sqrt(2): take half
  k += static_cast<i64>(b >> 52) - 1023 + static_cast<i64>(up);
  const f64 m = float_of((b & 0xfffffffffffff) | (1023 - up) << 52);
  const f64 f = m - 1, s = f / (2 + f), z = s * s;  // log(m) = 2 atanh(s)
  f64 p = 1.0 / 25;
  for (const f64 c : kOdd) p = __builtin_fma(p, z, c);
  const f64 kf = static_cast<f64>(k);
  // f - (f^2 / 2 - s (f^2 / 2 + 2 z p)) is the series with the large term apart.
  const f64 square = 0.5 * f * f, tail = s * (square + 2 * z * p);
  return __builtin_fma(kf, kLn2High, f - (square - (tail + kf * kLn2Low)));
}

void exp64(void* out, const void* a, const void*, i64 n) { each_one<f64, f64>(out, a, n, exp_of); }
void log64(void* out, const void* a, const void*, i64 n) { each_one<f64, f64>(out, a, n, log_of); }

constexpr TypedOp kExp = {EDGEORT_F64(exp64), false, false};
constexpr TypedOp kLog = {EDGEORT_F64(log64), false, false};

}  // namespace

extern const OpDef kExp64, kLog64;
const OpDef kExp64 = {"Exp64", 0, prepare_op<kExp>, run_typed};
const OpDef kLog64 = {"Log64", 0, prepare_op<kLog>, run_typed};

}  // namespace edgeort
