// The transcendental functions of the contract, one straight line each. Scaling by 2^n goes through double, where it is
// exact, so that the one rounding is that of the conversion.
#include "reference.h"

static const float kLn2Hi = 0x1.62e430p-1f, kLn2Lo = -0x1.05c610p-29f;

static float horner(float x, const float* c, int n) {
  float s = c[n - 1];
  for (int i = n - 2; i >= 0; --i) s = fmaf(x, s, c[i]);
  return s;
}
#define HORNER(x, ...) horner(x, (const float[]){__VA_ARGS__}, sizeof((const float[]){__VA_ARGS__}) / sizeof(float))

static float clamp(float x, float lo, float hi) { return x < lo ? lo : x > hi ? hi : x; }
static float upper(float x, float hi) { return x > hi ? hi : x; }

// p of x = n ln 2 + r: exp(r), or exp(r) - 1.
static float exp_reduced(float x, int minus_one, int* n) {
  const float whole = fmaf(x, 0x1.715476p+0f, 0x1.8p23f) - 0x1.8p23f;
  const float hi = fmaf(whole, -kLn2Hi, x);
  *n = isnan(x) ? 0 : (int)whole;
  if (minus_one) {
    const float lo = whole * -kLn2Lo, r = hi + lo;
    const float q = HORNER(r, 0.5f, 0x1.555556p-3f, 0x1.5554f4p-5f, 0x1.110ffcp-7f, 0x1.6d3f5ep-10f, 0x1.a25416p-13f);
    return hi + fmaf(r * r, q, lo);
  }
  const float r = fmaf(whole, -kLn2Lo, hi);
  return HORNER(r, 1.0f, 1.0f, 0x1.fffffcp-2f, 0x1.555490p-3f, 0x1.5558b6p-5f, 0x1.123b36p-7f, 0x1.6a4a1ap-10f);
}
static float exp_times(float x, int shift) {
  int n;
  const float p = exp_reduced(clamp(x, -104.0f, 90.0f), 0, &n);
  return (float)ldexp(p, n + shift);
}

float ref_exp(float x) { return exp_times(x, 0); }

float ref_expm1(float x) {
  if (fabsf(x) < 0x1p-25f) return x;
  int n;
  const float p = exp_reduced(clamp(x, -30.0f, 89.0f), 1, &n);
  const float s = ldexpf(1.0f, n - 1);
  return fmaf(p, s, s - 0.5f) * 2.0f;
}

float ref_tanh(float x) {
  const float a = fabsf(x), z = a * a;
  if (a < 0.55f) {
    const float p = HORNER(z, -0x1.55554ap-2f, 0x1.110ceep-3f, -0x1.b91e7ep-5f, 0x1.58e518p-6f, -0x1.9921a2p-8f);
    return copysignf(fmaf(a * z, p, a), x);
  }
  int n;
  const float p = exp_reduced(upper(a, 9.5f) * 2.0f, 0, &n);
  return copysignf(1.0f - 2.0f / fmaf(p, ldexpf(1.0f, n), 1.0f), x);
}

float ref_sigmoid(float x) {
  const float e = ref_exp(-fabsf(x)), q = e / (e + 1.0f);
  return x < 0.0f ? fmaf(-e, q, e) : 1.0f - q;
}

float ref_erf(float x) {
  const float a = fabsf(x);
  if (a < 1.0f) {
    const float p =
        HORNER(x * x, 0x1.06eba8p-3f, -0x1.81273ep-2f, 0x1.ce2ce6p-4f, -0x1.b7f71ap-6f, 0x1.53f224p-8f, -0x1.a3515ep-11f, 0x1.4771fep-14f);
    return fmaf(x, p, x);
  }
  const float q = HORNER(upper(a, 4.0f), -0x1.661a9ep-12f, -0x1.2088ecp+0f, -0x1.46bae6p-1f, -0x1.a6536ep-4f, 0x1.65cbc4p-6f,
                         -0x1.825b6ap-9f, 0x1.86ddccp-13f);
  int n;
  const float p = exp_reduced(q, 0, &n);
  return copysignf(fmaf(-p, ldexpf(1.0f, n), 1.0f), x);
}

static float log_reduced(float f, int n) {
  const float k = (float)n;
  const float r = HORNER(f, 0x1.555548p-2f, -0x1.000006p-2f, 0x1.99a476p-3f, -0x1.555c44p-3f, 0x1.233ba2p-3f, -0x1.fc28cap-4f,
                         0x1.e6c00cp-4f, -0x1.de01e0p-4f, 0x1.14733ap-4f);
  const float low = fmaf(k, kLn2Lo, fmaf(f * f * f, r, f * f * -0.5f));
  return fmaf(k, kLn2Hi, f + low);
}
// u = 2^n m, sqrt(1/2) <= m < sqrt(2).
static float split(float u, int* n) {
  float m = frexpf(u, n);
  if (m < 0x1.6a09e6p-1f) {
    m *= 2.0f;
    --*n;
  }
  return m;
}

float ref_log(float x) {
  if (x < 0.0f || isnan(x)) return NAN;
  if (x == 0.0f) return -INFINITY;
  if (isinf(x)) return x;
  int n;
  const float m = split(x, &n);
  return log_reduced(m - 1.0f, n);
}

float ref_log1p(float y) {
  const float u = 1.0f + y;
  if (!(u > 0.0f) || isinf(u)) return ref_log(u);
  int n;
  const float m = split(u, &n);
  if (n > 30) return log_reduced(m - 1.0f, n);
  const float s = ldexpf(1.0f, -n);
  return log_reduced(fmaf(y, s, s - 1.0f), n);
}

float ref_softplus(float x) { return (x < 0.0f ? 0.0f : x) + ref_log1p(ref_exp(-fabsf(x))); }

float ref_sinh(float x) {
  if (fabsf(x) < 0x1p-13f) return x;
  int n;
  const float p = exp_reduced(upper(fabsf(x), 89.6f), 1, &n);
  const float s = ldexpf(1.0f, n - 2);
  const float h = fmaf(p, s, s - 0.25f) * 2.0f, c = upper(h, 0x1p60f);
  return copysignf(h + c / fmaf(c, 2.0f, 1.0f), x);
}

float ref_cosh(float x) {
  const float h = exp_times(fabsf(x), -1);
  return h + 0.25f / h;
}

float ref_asinh(float x) {
  const float a = fabsf(x);
  if (a > 0x1p28f) return copysignf(ref_log1p(a) + kLn2Hi, x);
  return copysignf(ref_log1p(a + a * a / (sqrtf(a * a + 1.0f) + 1.0f)), x);
}

float ref_acosh(float x) {
  const float t = x - 1.0f;
  if (!(t >= 0.0f)) return NAN;
  if (x > 0x1p28f) return ref_log1p(x) + kLn2Hi;
  return ref_log1p(t + sqrtf(fmaf(t, t, t + t)));
}

float ref_atanh(float x) {
  const float a = fabsf(x);
  return copysignf(0.5f * ref_log1p((a + a) / (1.0f - a)), x);
}

float ref_rsqrt(float x) { return 1.0f / sqrtf(x); }
float ref_silu(float x) { return x / (ref_exp(-x) + 1.0f); }
float ref_gelu(float x) {
  const float h = x * 0.5f, c = upper(fabsf(x), 0x1.59999ap+2f), z = c * c;
  const float p = HORNER(z, 0x1.988450p-1f, 0x1.162640p-4f, 0x1.32e454p-7f, 0x1.640548p-12f, 0x1.aa1d06p-17f, 0x1.847842p-25f);
  const float q = HORNER(z, 1.0f, 0x1.01d16ap-2f, 0x1.d64120p-6f, 0x1.ef64ecp-10f, 0x1.35f764p-14f, 0x1.4053d4p-20f);
  return fmaf(fabsf(h), c * p / q, h);
}
float ref_gelu_tanh(float x) {
  const float u2 = x * fmaf(x * x, -0x1.2444f2p-4f, -0x1.988454p+0f);
  return x / (ref_exp(u2) + 1.0f);
}
float ref_mish(float x) {
  const float w = ref_exp(upper(x, 20.0f)), n = w * (w + 2.0f);
  return x * (n / (n + 2.0f));
}
float ref_hard_swish(float x) { return x * clamp(fmaf(x, 1.0f / 6.0f, 0.5f), 0.0f, 1.0f); }

// IEEE pow through double log2 and exp2, without fma.
static double poly(double x, const double* c, int n) {
  double s = c[n - 1];
  for (int i = n - 2; i >= 0; --i) s = x * s + c[i];
  return s;
}
float ref_pow(float x, float y) {
  static const double kLog[] = {0x1.71547652b82ffp+1, 0x1.ec709dc39c9d7p-1, 0x1.2776c516aafcbp-1, 0x1.a6175674e6603p-2,
                                0x1.484facc4b1fe5p-2, 0x1.0bb7a84a4347ap-2, 0x1.f186e1a5d256ap-3};
  static const double kExp[] = {0x1.ffffffffff7a6p-1,  0x1.62e42fef8614bp-1,  0x1.ebfbdff931800p-3,
                                0x1.c6b08dd46fa15p-5,  0x1.3b2ab5c541293p-7,  0x1.5d874835f55c1p-10,
                                0x1.430acc855ed0fp-13, 0x1.00dad3a69327ep-16, 0x1.61afe891828a7p-20};
  const float a = fabsf(x);
  if (y == 0.0f || x == 1.0f || (a == 1.0f && isinf(y))) return 1.0f;
  if (isnan(x) || isnan(y)) return NAN;
  const int whole = truncf(y) == y, odd = whole && truncf(0.5f * y) != 0.5f * y;
  if (x < 0.0f && !isinf(x) && !whole) return NAN;
  double l = a == 0.0f ? -INFINITY : INFINITY;
  if (a != 0.0f && !isinf(a)) {
    int k;
    double m = frexp(a, &k);
    if (m < 0x1.6a09e667f3bcdp-1) {
      m *= 2.0;
      --k;
    }
    const double s = (m - 1.0) / (m + 1.0);
    l = s * poly(s * s, kLog, 7) + k;
  }
  double e = y * l;
  e = e < -200.0 ? -200.0 : e > 200.0 ? 200.0 : e;
  const double n = (e + 0x1.8p52) - 0x1.8p52;
  const float r = (float)ldexp(poly(e - n, kExp, 9), (int)n);
  return signbit(x) && odd ? -r : r;
}

void ref_map(float (*f)(float), const float* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = f(x[i]);
}
void ref_map_pow(const float* x, const float* y, float* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i] = ref_pow(x[i], y[i]);
}
