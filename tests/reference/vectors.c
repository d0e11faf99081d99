// Reductions, soft maximum and normalisations of the contract: element r of a sequence goes to virtual lane r % 16, the
// lanes combine in a tree.
#include "reference.h"

enum Op { kSum, kMean, kMax, kMin, kProd, kL1, kL2, kSumSquare, kLogSum, kLogSumExp };

static float tree(float lane[16], int op) {
  for (int s = 8; s >= 1; s /= 2) {
    for (int i = 0; i < s; ++i) {
      const float a = lane[i], b = lane[i + s];
      lane[i] = op == kMax ? max_nan(a, b) : op == kMin ? min_nan(a, b) : op == kProd ? a * b : a + b;
    }
  }
  return lane[0];
}

static float lanes(const float* x, int64_t n, int64_t step, int op, float shift) {
  float lane[16];
  for (int i = 0; i < 16; ++i) lane[i] = op == kMax ? -INFINITY : op == kMin ? INFINITY : op == kProd ? 1.0f : 0.0f;
  for (int64_t r = 0; r < n; ++r) {
    float* l = lane + r % 16;
    const float v = x[r * step];
    switch (op) {
      case kMax:
        *l = max_nan(*l, v);
        break;
      case kMin:
        *l = min_nan(*l, v);
        break;
      case kProd:
        *l = *l * v;
        break;
      case kL1:
        *l = *l + fabsf(v);
        break;
      case kSumSquare:
        *l = fmaf(v - shift, v - shift, *l);
        break;
      case kLogSumExp:
        *l = *l + ref_exp(v - shift);
        break;
      default:
        *l = *l + v;
        break;
    }
  }
  return tree(lane, op);
}

static float reduce(const float* x, int64_t n, int64_t step, int op) {
  switch (op) {
    case kMean:
      return lanes(x, n, step, kSum, 0.0f) / (float)n;
    case kL2:
      return sqrtf(lanes(x, n, step, kSumSquare, 0.0f));
    case kLogSum:
      return ref_log(lanes(x, n, step, kSum, 0.0f));
    case kLogSumExp: {
      const float m = lanes(x, n, step, kMax, 0.0f), shift = isfinite(m) ? m : 0.0f;
      return ref_log(lanes(x, n, step, kLogSumExp, shift)) + shift;
    }
    default:
      return lanes(x, n, step, op, 0.0f);
  }
}

// x [outer, n, inner] -> y [outer, inner].
void ref_reduce(const float* x, float* y, int64_t outer, int64_t n, int64_t inner, int op) {
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t i = 0; i < inner; ++i) y[o * inner + i] = reduce(x + o * n * inner + i, n, inner, op);
  }
}

// x, y [outer, n, inner], over n. log: (x - max) - log(sum).
void ref_softmax(const float* x, float* y, int64_t outer, int64_t n, int64_t inner, int log) {
  for (int64_t k = 0; k < outer * inner; ++k) {
    const int64_t base = k / inner * n * inner + k % inner;
    const float m = lanes(x + base, n, inner, kMax, 0.0f);
    if (log) {
      const float log_sum = ref_log(lanes(x + base, n, inner, kLogSumExp, m));
      for (int64_t r = 0; r < n; ++r) y[base + r * inner] = (x[base + r * inner] - m) - log_sum;
      continue;
    }
    for (int64_t r = 0; r < n; ++r) {
      const float d = x[base + r * inner] - m;
      y[base + r * inner] = d < -87.33f ? 0.0f : ref_exp(d);
    }
    const float sum = lanes(y + base, n, inner, kSum, 0.0f);
    for (int64_t r = 0; r < n; ++r) y[base + r * inner] /= sum;
  }
}

static void statistics(const float* x, int64_t n, float eps, float* mean, float* inv) {
  *mean = lanes(x, n, 1, kSum, 0.0f) / (float)n;
  *inv = 1.0f / sqrtf(lanes(x, n, 1, kSumSquare, *mean) / (float)n + eps);
}

// x, y [outer, n]; scale, bias [n].
void ref_layer_norm(const float* x, const float* scale, const float* bias, float* y, int64_t outer, int64_t n, float eps) {
  for (int64_t o = 0; o < outer; ++o) {
    const float* row = x + o * n;
    float mean, inv;
    statistics(row, n, eps, &mean, &inv);
    for (int64_t r = 0; r < n; ++r) y[o * n + r] = fmaf((row[r] - mean) * inv, scale[r], bias[r]);
  }
}

// x, y [outer, n]; scale [n].
void ref_rms_norm(const float* x, const float* scale, float* y, int64_t outer, int64_t n, float eps) {
  for (int64_t o = 0; o < outer; ++o) {
    const float square = lanes(x + o * n, n, 1, kSumSquare, 0.0f) / (float)n;
    const float inv = 1.0f / sqrtf(square + eps);
    for (int64_t r = 0; r < n; ++r) y[o * n + r] = (x[o * n + r] * inv) * scale[r];
  }
}

// x, y [batch, pixels, channels]; scale, bias [channels]; work [pixels * channels / groups]. Instance norm: groups =
// channels. The sequence of a group runs over (pixel, channel), as it lies in memory.
void ref_group_norm(const float* x, const float* scale, const float* bias, float* y, float* work, int64_t batch, int64_t pixels,
                    int64_t channels, int64_t groups, float eps) {
  const int64_t width = channels / groups;
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t g = 0; g < groups; ++g) {
      const int64_t base = b * pixels * channels + g * width;
      for (int64_t r = 0; r < pixels * width; ++r) work[r] = x[base + r / width * channels + r % width];
      float mean, inv;
      statistics(work, pixels * width, eps, &mean, &inv);
      for (int64_t r = 0; r < pixels * width; ++r) {
        const int64_t c = g * width + r % width;
        y[base + r / width * channels + r % width] = fmaf((work[r] - mean) * inv, scale[c], bias[c]);
      }
    }
  }
}
