// sin, cos, tan and their inverses of the contract.
#include "reference.h"

static const float kHalfPi = 0x1.921fb6p+0f, kHalfPiLo = -0x1.777a5cp-25f, kPi = 0x1.921fb6p+1f;

// |x| >= 2^18: |x| = m 2^e; the 96 bits of 2/pi from weight 2 on (after the shift by e) times m, modulo 4, cut to 62
// fraction bits, rounded to the nearest quarter turn.
static float reduce_huge(float x, int* q) {
  static const uint32_t kTwoOverPi[7] = {0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab};
  const int e = (int)(bits_of(x) >> 23 & 0xff) - 150;
  const uint32_t m = (bits_of(x) & 0x7fffff) | 0x800000;
  unsigned __int128 window = 0;
  for (int i = 0; i < 96; ++i) {
    const int source = e - 2 + i;
    window = window << 1 | (source < 0 ? 0 : kTwoOverPi[source / 32] >> (31 - source % 32) & 1);
  }
  const uint64_t turns = (uint64_t)(window * m >> 32);
  const uint64_t nearest = (turns + (1ull << 61)) >> 62;
  const int64_t rest = (int64_t)(turns - (nearest << 62));
  const double r = (double)rest * 0x1.921fb54442d18p-62;
  *q = (int)(x < 0.0f ? 4 - nearest : nearest) & 3;
  return (float)(x < 0.0f ? -r : r);
}

static float reduce(float x, int* q) {
  *q = 0;
  if (!isfinite(x)) return NAN;
  if (fabsf(x) >= 0x1p18f) return reduce_huge(x, q);
  const float n = fmaf(x, 0x1.45f306p-1f, 0x1.8p23f) - 0x1.8p23f;
  *q = (int)n & 3;
  return fmaf(n, 0x1.ee59dap-50f, fmaf(n, -kHalfPiLo, fmaf(n, -kHalfPi, x)));
}

static float sin_quadrant(float r, int q) {
  const float z = r * r;
  float v;
  if (q & 1) {
    const float c = fmaf(z, fmaf(z, 0x1.99911cp-16f, -0x1.6c0af4p-10f), 0x1.555548p-5f);
    v = fmaf(z * z, c, fmaf(z, -0.5f, 1.0f));
  } else {
    v = fmaf(r * z, fmaf(z, fmaf(z, -0x1.990f92p-13f, 0x1.1106aep-7f), -0x1.555544p-3f), r);
  }
  return q & 2 ? -v : v;
}

float ref_sin(float x) {
  int q;
  const float r = reduce(x, &q);
  return x == 0.0f ? x : sin_quadrant(r, q);
}
float ref_cos(float x) {
  int q;
  const float r = reduce(x, &q);
  return sin_quadrant(r, q + 1);
}
float ref_tan(float x) {
  static const float c[7] = {0x1.555564p-2f, 0x1.110c88p-3f,   0x1.bb0b9cp-5f, 0x1.5ab798p-6f,
                             0x1.6d779ep-7f, -0x1.4e340cp-12f, 0x1.2c2966p-8f};
  int q;
  const float r = reduce(x, &q), z = r * r;
  if (x == 0.0f) return x;
  float s = c[6];
  for (int i = 5; i >= 0; --i) s = fmaf(z, s, c[i]);
  const float t = fmaf(r * z, s, r);
  return q & 1 ? -1.0f / t : t;
}

// asin(s) - s for s = sqrt(z) <= 1/2.
static float asin_rest(float s, float z) {
  const float p = fmaf(z, fmaf(z, fmaf(z, fmaf(z, 0x1.595c92p-5f, 0x1.8c3e28p-6f), 0x1.747bbap-5f), 0x1.330204p-4f), 0x1.5555c8p-3f);
  return s * z * p;
}
float ref_asin(float x) {
  const float a = fabsf(x);
  if (a <= 0.5f) return copysignf(a + asin_rest(a, a * a), x);
  const float z = fmaf(a, -0.5f, 0.5f), s = sqrtf(z);
  return copysignf(fmaf(-2.0f, asin_rest(s, z) - kHalfPiLo / 2.0f, fmaf(-2.0f, s, kHalfPi)), x);
}
float ref_acos(float x) {
  const float a = fabsf(x);
  if (a <= 0.5f) return (kHalfPi - x) - (asin_rest(x, a * a) - kHalfPiLo);
  const float z = fmaf(a, -0.5f, 0.5f), s = sqrtf(z), t = asin_rest(s, z);
  return x < 0.0f ? fmaf(-2.0f, t, fmaf(-2.0f, s, kPi)) : 2.0f * (s + t);
}
float ref_atan(float x) {
  static const float c[9] = {-0x1.55553ep-2f, 0x1.9991e4p-3f,  -0x1.242086p-3f, 0x1.c08c50p-4f,  -0x1.58092ep-4f,
                             0x1.da2a88p-5f,  -0x1.fd7fa4p-6f, 0x1.64274ap-7f,  -0x1.d36024p-10f};
  const float a = fabsf(x);
  const int big = a > 1.0f;
  const float q = big ? -1.0f / a : a, z = q * q;
  float s = c[8];
  for (int i = 7; i >= 0; --i) s = fmaf(z, s, c[i]);
  const float t = q + fmaf(q * z, s, big ? kHalfPiLo : 0.0f);
  return copysignf(big ? kHalfPi + t : t, x);
}
