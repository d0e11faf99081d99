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

// One dimension of B^T d, of G g without its factors and of -6 A^T m with them, of Winograd's F(n, 3) with n + 2 of the positions
// of F(4, 3); with a stride.
static void winograd_in(float* d, int64_t s, int64_t n) {
  const float d0 = d[0], d1 = d[s], d2 = d[2 * s], d3 = d[3 * s], d4 = d[4 * s], d5 = d[5 * s], c = d4 - d2, e = d3 - d1;
  if (n == 1) {
    d[0] = d0 - d1, d[s] = d1, d[5 * s] = d2 - d1;
  } else if (n == 2) {
    d[0] = d0 - d2, d[s] = d1 + d2, d[2 * s] = d2 - d1, d[5 * s] = e;
  } else if (n == 3) {
    d[0] = fmaf(2, d0 - d2, e), d[s] = fmaf(-2, d1, d3 - d2), d[2 * s] = fmaf(2, d1, fmaf(-3, d2, d3)), d[3 * s] = e;
    d[5 * s] = fmaf(-2, e, c);
  } else {
    const float a = fmaf(-4, d2, d4), b = fmaf(-4, d1, d3);
    d[0] = fmaf(4, d0 - d2, c), d[s] = a + b, d[2 * s] = a - b, d[3 * s] = c + 2 * e, d[4 * s] = c - 2 * e;
    d[5 * s] = fmaf(-4, e, d5 - d3);
  }
}
static void winograd_weights(float* g, int64_t s) {
  const float sum = g[0] + g[2 * s], u = fmaf(4, g[2 * s], g[0]);
  const float rows[6] = {g[0], sum + g[s], sum - g[s], u + 2 * g[s], u - 2 * g[s], g[2 * s]};
  for (int i = 0; i < 6; ++i) g[i * s] = rows[i];
}
static void winograd_out(float* m, int64_t s, int64_t n) {
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

// weight [co, ci, 3, 3]; stride 1; y is computed in tiles of 4x4, and smaller ones at the right and the bottom.
void ref_winograd2d(const float* x, const float* weight, const float* bias, float* y, const Window* d) {
  for (int64_t i = 0; i < d->n * ((d->oh + 3) / 4) * ((d->ow + 3) / 4) * d->co; ++i) {
    const int64_t oc = i % d->co, tx = i / d->co % ((d->ow + 3) / 4) * 4;
    const int64_t ty = i / d->co / ((d->ow + 3) / 4) % ((d->oh + 3) / 4) * 4, b = i / d->co / ((d->ow + 3) / 4) / ((d->oh + 3) / 4);
    const int64_t nh = d->oh - ty < 4 ? d->oh - ty : 4, nw = d->ow - tx < 4 ? d->ow - tx : 4;
    float sum[36] = {0};
    for (int64_t c = 0; c < d->ci; ++c) {
      float patch[36];
      for (int k = 0; k < 36; ++k) patch[k] = tap(x, d, b, ty - d->pt + k / 6, tx - d->pl + k % 6, c);
      for (int k = 0; k < 6; ++k) winograd_in(patch + k, 6, nh);
      for (int k = 0; k < 6; ++k) winograd_in(patch + 6 * k, 1, nw);
      float w[36];
      for (int k = 0; k < 9; ++k) w[k / 3 * 6 + k % 3] = weight[(oc * d->ci + c) * 9 + k];
      for (int k = 0; k < 3; ++k) winograd_weights(w + k, 6);
      for (int k = 0; k < 6; ++k) winograd_weights(w + 6 * k, 1);
      for (int k = 0; k < 36; ++k) sum[k] = fmaf(patch[k], w[k], sum[k]);
    }
    for (int k = 0; k < 6; ++k) winograd_out(sum + k, 6, nh);
    for (int k = 0; k < 4; ++k) winograd_out(sum + 6 * k, 1, nw);
    for (int k = 0; k < 16; ++k) {
      if (ty + k / 4 < d->oh && tx + k % 4 < d->ow) {
        y[((b * d->oh + ty + k / 4) * d->ow + tx + k % 4) * d->co + oc] = sum[k / 4 * 6 + k % 4] * (1.0f / 36) + bias[oc];
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
