// Sums of products and windows of the contract: one accumulator from +0, fused multiply-add, taps in the order (kh, kw,
// channel), bias added at the end.
#include "reference.h"

// Sizes of a 2-D operator: x [n, h, w, ci], y [n, oh, ow, co]; kernel, stride, dilation, the pads before, groups.
typedef struct {
  int64_t n, h, w, ci, oh, ow, co, kh, kw, sh, sw, dh, dw, pt, pl, groups;
} Window;

static float tap(const float* x, const Window* d, int64_t b, int64_t iy, int64_t ix, int64_t c) {
  if (iy < 0 || iy >= d->h || ix < 0 || ix >= d->w) return 0.0f;  // padding takes part as +0
  return x[((b * d->h + iy) * d->w + ix) * d->ci + c];
}

// weight [co, ci / groups, kh, kw], bias [co]. Depthwise: groups = ci.
void ref_conv2d(const float* x, const float* weight, const float* bias, float* y, const Window* d) {
  const int64_t gi = d->ci / d->groups, go = d->co / d->groups;
  for (int64_t o = 0; o < d->n * d->oh * d->ow * d->co; ++o) {
    const int64_t oc = o % d->co, ox = o / d->co % d->ow, oy = o / d->co / d->ow % d->oh, b = o / d->co / d->ow / d->oh;
    float acc = 0.0f;
    for (int64_t ky = 0; ky < d->kh; ++ky) {
      for (int64_t kx = 0; kx < d->kw; ++kx) {
        const int64_t iy = oy * d->sh - d->pt + ky * d->dh, ix = ox * d->sw - d->pl + kx * d->dw;
        for (int64_t c = 0; c < gi; ++c) {
          const float w = weight[((oc * gi + c) * d->kh + ky) * d->kw + kx];
          acc = fmaf(tap(x, d, b, iy, ix, oc / go * gi + c), w, acc);
        }
      }
    }
    y[o] = acc + bias[oc];
  }
}

// One dimension of Winograd's transforms, with a step: positions 0 to 4 are the points 0, 1, -1, 2, -2, and 5 is infinity.
// B^T d at the first n - 1 points and infinity.
static void winograd_in(float* d, int64_t s, int64_t n) {
  const float d0 = d[0], d1 = d[s], d2 = d[2 * s], d3 = d[3 * s], d4 = d[4 * s], d5 = d[5 * s], c = d4 - d2, e = d3 - d1;
  if (n == 2) {
    d[5 * s] = d1;
  } else if (n == 3) {
    d[0] = d0 - d1, d[s] = d1, d[5 * s] = d2 - d1;
  } else if (n == 4) {
    d[0] = d0 - d2, d[s] = d1 + d2, d[2 * s] = d2 - d1, d[5 * s] = e;
  } else if (n == 5) {
    d[0] = fmaf(2, d0 - d2, e), d[s] = fmaf(-2, d1, d3 - d2), d[2 * s] = fmaf(2, d1, fmaf(-3, d2, d3)), d[3 * s] = e;
    d[5 * s] = fmaf(-2, e, c);
  } else {
    const float a = fmaf(-4, d2, d4), b = fmaf(-4, d1, d3);
    d[0] = fmaf(4, d0 - d2, c), d[s] = a + b, d[2 * s] = a - b, d[3 * s] = c + 2 * e, d[4 * s] = c - 2 * e;
    d[5 * s] = fmaf(-4, e, d5 - d3);
  }
}
// G g without its factors, of so many taps.
static void winograd_weights(float* g, int64_t s, int64_t taps) {
  const float g0 = g[0], g1 = taps > 1 ? g[s] : 0, g2 = taps > 2 ? g[2 * s] : 0, sum = g0 + g2, u = fmaf(4, g2, g0);
  const float rows[6] = {g0, sum + g1, sum - g1, u + 2 * g1, u - 2 * g1, taps > 2 ? g2 : g1};
  for (int i = 0; i < 6; ++i) g[i * s] = rows[i];
}
// -6 A^T m with those factors: n outputs of three taps, and of two.
static void winograd_out3(float* m, int64_t s, int64_t n) {
  const float m0 = m[0], m1 = m[s], m2 = m[2 * s], m3 = m[3 * s], m4 = m[4 * s], m5 = m[5 * s], s12 = m1 + m2, d12 = m1 - m2;
  if (n == 1) {
    m[0] = -6 * ((m0 + m1) + m5);
  } else if (n == 2) {
    m[0] = -3 * fmaf(2, m0, s12), m[s] = -3 * fmaf(2, m5, d12);
  } else if (n == 3) {
    m[0] = fmaf(3, m1 - m0, m2 - m3), m[s] = fmaf(-2, m3, fmaf(3, m1, -m2));
    m[2 * s] = fmaf(-6, m5, fmaf(-4, m3, fmaf(3, m1, m2)));
  } else {
    const float s34 = m3 + m4, d34 = m3 - m4;
    m[0] = fmaf(-0.25f, s34, fmaf(-1.5f, m0, s12)), m[s] = fmaf(-0.5f, d34, d12), m[2 * s] = s12 - s34;
    m[3 * s] = fmaf(-6, m5, fmaf(-2, d34, d12));
  }
}
static void winograd_out2(float* m, int64_t s, int64_t n) {
  const float m0 = m[0], m1 = m[s], m2 = m[2 * s], m3 = m[3 * s], m5 = m[5 * s], s12 = m1 + m2;
  if (n == 1) {
    m[0] = -6 * (m0 + m5);
  } else if (n == 2) {
    m[0] = -6 * (m0 + m1), m[s] = -6 * (m1 + m5);
  } else if (n == 3) {
    m[0] = -3 * fmaf(2, m0, s12), m[s] = -3 * (m1 - m2), m[2 * s] = -3 * fmaf(2, m5, s12);
  } else {
    const float d = fmaf(3, m1, -m2);
    m[0] = fmaf(3, m1 - m0, m2 - m3), m[s] = fmaf(-2, m3, d), m[2 * s] = fmaf(-4, m3, fmaf(3, m1, m2));
    m[3 * s] = fmaf(-6, m5, fmaf(-8, m3, d));
  }
}

// Adds to the 6x6 sums of a tile at output (ty, tx), of nh x nw outputs, the products of the lines py, py + stride, ... and the
// columns px, px + stride, ... under it, with the taps that meet those.
static void winograd_phase(const float* x, const float* weight, float* sum, const Window* d, int64_t b, int64_t oc, int64_t ty, int64_t tx,
                           int64_t nh, int64_t nw, int64_t py, int64_t px) {
  const int64_t s = d->sh, th = (2 - py) / s + 1, tw = (2 - px) / s + 1;
  for (int64_t c = 0; c < d->ci; ++c) {
    float patch[36], w[36] = {0};
    for (int k = 0; k < 36; ++k) {
      patch[k] = tap(x, d, b, ty * s - d->pt + py + k / 6 * s, tx * s - d->pl + px + k % 6 * s, c);
      if (k / 6 < th && k % 6 < tw) w[k] = weight[(oc * d->ci + c) * 9 + (py + k / 6 * s) * 3 + px + k % 6 * s];
    }
    const int64_t points = s == 1 ? 2 : 1;
    for (int k = 0; k < 6; ++k) winograd_in(patch + k, 6, nh + points);
    for (int k = 0; k < 6; ++k) winograd_in(patch + 6 * k, 1, nw + points);
    for (int k = 0; k < 6; ++k) winograd_weights(w + k, 6, th);
    for (int k = 0; k < 6; ++k) winograd_weights(w + 6 * k, 1, tw);
    for (int k = 0; k < 36; ++k) {
      if ((k / 6 < 5 || th > 1) && (k % 6 < 5 || tw > 1)) sum[k] = fmaf(patch[k], w[k], sum[k]);  // one tap is nothing at infinity
    }
  }
}

// weight [co, ci, 3, 3]; stride 1 or 2; y is computed in tiles of 4x4, and smaller ones at the right and the bottom.
void ref_winograd2d(const float* x, const float* weight, const float* bias, float* y, const Window* d) {
  void (*const out)(float*, int64_t, int64_t) = d->sh == 1 ? winograd_out3 : winograd_out2;
  for (int64_t i = 0; i < d->n * ((d->oh + 3) / 4) * ((d->ow + 3) / 4) * d->co; ++i) {
    const int64_t oc = i % d->co, tx = i / d->co % ((d->ow + 3) / 4) * 4;
    const int64_t ty = i / d->co / ((d->ow + 3) / 4) % ((d->oh + 3) / 4) * 4, b = i / d->co / ((d->ow + 3) / 4) / ((d->oh + 3) / 4);
    const int64_t nh = d->oh - ty < 4 ? d->oh - ty : 4, nw = d->ow - tx < 4 ? d->ow - tx : 4;
    float sum[36] = {0};
    for (int64_t k = 0; k < d->sh * d->sh; ++k) winograd_phase(x, weight, sum, d, b, oc, ty, tx, nh, nw, k / d->sh, k % d->sh);
    for (int k = 0; k < 6; ++k) out(sum + k, 6, nh);
    for (int k = 0; k < 4; ++k) out(sum + 6 * k, 1, nw);
    for (int k = 0; k < 16; ++k) {
      if (ty + k / 4 < d->oh && tx + k % 4 < d->ow) {
        y[((b * d->oh + ty + k / 4) * d->ow + tx + k % 4) * d->co + oc] = sum[k / 4 * 6 + k % 4] * (1.0f / 36) + bias[oc];
      }
    }
  }
}

// Seven pixels, two apart, at the points 1, -1, 2, -2, 1/2, -1/2 and infinity; of odd ones the last is not used.
static void stem_in(float* d, int64_t s) {
  const float d0 = d[0], d1 = d[s], d2 = d[2 * s], d3 = d[3 * s], d4 = d[4 * s], d5 = d[5 * s], d6 = d[6 * s];
  const float e1 = fmaf(-4.25f, d2, d0 + d4), e2 = fmaf(0.5f, d0, fmaf(-2.5f, d2, 2 * d4)), e3 = fmaf(2, d0, fmaf(-2.5f, d2, 0.5f * d4));
  const float o1 = fmaf(-4.25f, d3, d1 + d5), o2 = fmaf(0.25f, d1, fmaf(-1.25f, d3, d5)), o3 = fmaf(4, d1, fmaf(-5, d3, d5));
  const float t[7] = {o1 + e1, o1 - e1, o2 + e2, o2 - e2, o3 + e3, o3 - e3, fmaf(5.25f, d2 - d4, d6 - d0)};
  for (int i = 0; i < 7; ++i) d[i * s] = t[i];
}
static void stem_out(float* m, int64_t s) {
  const float s1 = m[0] + m[s], s2 = m[2 * s] + m[3 * s], s3 = m[4 * s] + m[5 * s];
  const float d1 = m[0] - m[s], d2 = m[2 * s] - m[3 * s], d3 = m[4 * s] - m[5 * s], m6 = m[6 * s];
  m[0] = (s1 + s2) + s3, m[s] = fmaf(0.5f, d3, fmaf(2, d2, d1)), m[2 * s] = fmaf(0.25f, s3, fmaf(4, s2, s1));
  m[3 * s] = fmaf(0.125f, d3, fmaf(8, d2, d1 + m6));
}

// x [n, h, w, 3], weight [co, 507] transformed as a plan has it; tiles of 4x4 outputs, also where fewer are kept.
void ref_winograd_stem(const float* x, const float* weight, const float* bias, float* y, const Window* d) {
  const int64_t down = (d->oh + 3) / 4, across = (d->ow + 3) / 4;
  for (int64_t i = 0; i < d->n * down * across; ++i) {
    const int64_t tx = i % across * 4, ty = i / across % down * 4, b = i / across / down;
    float in[4][3][49];  // phase: lines, columns
    for (int64_t k = 0; k < 4 * 3 * 49; ++k) {
      const int64_t phase = k / 147, at = k % 49, iy = 2 * ty - d->pt + phase / 2 + at / 7 * 2,
                    ix = 2 * tx - d->pl + phase % 2 + at % 7 * 2;
      in[phase][k / 49 % 3][at] = at / 7 + phase / 2 < 7 && at % 7 + phase % 2 < 7 ? tap(x, d, b, iy, ix, k / 49 % 3) : 0;
    }
    for (int64_t k = 0; k < 12 * 7; ++k) stem_in(in[k / 21][k / 7 % 3] + k % 7, 7);
    for (int64_t k = 0; k < 12 * 7; ++k) stem_in(in[k / 21][k / 7 % 3] + k % 7 * 7, 1);
    for (int64_t oc = 0; oc < d->co; ++oc) {
      const float* w = weight + oc * 507;
      float sum[49];
      for (int64_t at = 0; at < 49; ++at) {
        int first = 1;
        for (int64_t k = 0; k < 12; ++k) {
          if ((at / 7 == 6 && k / 6 == 1) || (at % 7 == 6 && k / 3 % 2 == 1)) continue;  // odd ones have nothing at infinity
          sum[at] = first ? in[k / 3][k % 3][at] * *w : fmaf(in[k / 3][k % 3][at], *w, sum[at]);
          first = 0;
          ++w;
        }
      }
      for (int k = 0; k < 7; ++k) stem_out(sum + k, 7);
      for (int k = 0; k < 4; ++k) stem_out(sum + 7 * k, 1);
      for (int64_t k = 0; k < 16; ++k) {
        const int64_t oy = ty + k / 4, ox = tx + k % 4;
        if (oy < d->oh && ox < d->ow) y[((b * d->oh + oy) * d->ow + ox) * d->co + oc] = sum[k / 4 * 7 + k % 4] + bias[oc];
      }
    }
  }
}

// weight [ci, co / groups, kh, kw], bias [co]. Taps that fall between the input's strides do not exist; taps that fall
// outside the input take part as +0.
void ref_conv_transpose2d(const float* x, const float* weight, const float* bias, float* y, const Window* d) {
  const int64_t gi = d->ci / d->groups, go = d->co / d->groups;
  for (int64_t o = 0; o < d->n * d->oh * d->ow * d->co; ++o) {
    const int64_t oc = o % d->co, ox = o / d->co % d->ow, oy = o / d->co / d->ow % d->oh, b = o / d->co / d->ow / d->oh;
    float acc = 0.0f;
    for (int64_t ky = 0; ky < d->kh; ++ky) {
      for (int64_t kx = 0; kx < d->kw; ++kx) {
        const int64_t ty = oy + d->pt - ky * d->dh, tx = ox + d->pl - kx * d->dw;
        if (ty % d->sh != 0 || tx % d->sw != 0) continue;
        for (int64_t c = 0; c < gi; ++c) {
          const int64_t ic = oc / go * gi + c;
          const float w = weight[((ic * go + oc % go) * d->kh + ky) * d->kw + kx];
          acc = fmaf(tap(x, d, b, ty / d->sh, tx / d->sw, ic), w, acc);
        }
      }
    }
    y[o] = acc + bias[oc];
  }
}

// a [m, k], b [k, n], bias [n] -> y [m, n].
void ref_gemm(const float* a, const float* b, const float* bias, float* y, int64_t m, int64_t n, int64_t k) {
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      float acc = 0.0f;
      for (int64_t p = 0; p < k; ++p) acc = fmaf(a[i * k + p], b[p * n + j], acc);
      y[i * n + j] = acc + bias[j];
    }
  }
}

// maximum: from -inf by max_nan. Otherwise the mean of the taps inside; pb, pr: the pads after; count_pad counts the
// taps in the pads too (not those that ceil_mode adds beyond them).
void ref_pool2d(const float* x, float* y, const Window* d, int64_t pb, int64_t pr, int maximum, int count_pad) {
  for (int64_t o = 0; o < d->n * d->oh * d->ow * d->ci; ++o) {
    const int64_t c = o % d->ci, ox = o / d->ci % d->ow, oy = o / d->ci / d->ow % d->oh, b = o / d->ci / d->ow / d->oh;
    float acc = maximum ? -INFINITY : 0.0f;
    int64_t inside = 0, padded = 0;
    for (int64_t ky = 0; ky < d->kh; ++ky) {
      for (int64_t kx = 0; kx < d->kw; ++kx) {
        const int64_t iy = oy * d->sh - d->pt + ky * d->dh, ix = ox * d->sw - d->pl + kx * d->dw;
        if (iy < d->h + pb && ix < d->w + pr) ++padded;
        if (iy < 0 || iy >= d->h || ix < 0 || ix >= d->w) continue;
        ++inside;
        const float v = tap(x, d, b, iy, ix, c);
        acc = maximum ? max_nan(acc, v) : acc + v;
      }
    }
    y[o] = maximum ? acc : acc / (float)(count_pad ? padded : inside);
  }
}
