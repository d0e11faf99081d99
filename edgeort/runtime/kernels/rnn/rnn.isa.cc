// The functions of recurrent cells for one ISA level.
#include "rnn.h"

#include "../../simd/math.h"

namespace edgeort {
namespace {

// out[i] = f(vector of each operand).
template <class F, class... X>
EDGEORT_INLINE void each(f32* out, i64 n, const F& f, const X*... x) {
  i64 i = 0;
  for (; i + kLanes <= n; i += kLanes) store(out + i, f(load(x + i)...));
  if (i < n) store_n(out + i, f(load_n(x + i, static_cast<int>(n - i))...), static_cast<int>(n - i));
}

void add(f32* x, const f32* y, i64 n) {
  each(x, n, [](vf a, vf b) { return a + b; }, x, y);
}
void mul(f32* out, const f32* x, const f32* y, i64 n) {
  each(out, n, [](vf a, vf b) { return a * b; }, x, y);
}
void multiply_add(f32* out, const f32* a, const f32* b, const f32* c, i64 n) {
  each(out, n, [](vf x, vf y, vf z) { return fma(x, y, z); }, a, b, c);
}
void complement(f32* out, const f32* x, i64 n) {
  each(out, n, [](vf a) { return 1.0f - a; }, x);
}
void limit(f32* x, f32 most, i64 n) {
  each(x, n, [=](vf a) { return clip(a, splat(-most), splat(most)); }, x);
}

#define ACTIVATION(name, formula)                                                              \
  void name##_all(f32* values, i64 n, [[maybe_unused]] f32 alpha, [[maybe_unused]] f32 beta) { \
    each(values, n, [=](vf x) -> vf { return formula; }, values);                              \
  }
ACTIVATION(sigmoid, sigmoid(x))
ACTIVATION(tanh, tanh(x))
ACTIVATION(relu, relu(x))
ACTIVATION(hard_sigmoid, hard_sigmoid(x, alpha, beta))
ACTIVATION(leaky_relu, leaky_relu(x, splat(alpha)))
ACTIVATION(thresholded_relu, select(x > splat(alpha), x, splat(0.0f)))
ACTIVATION(elu, elu(x, alpha))
ACTIVATION(softsign, x / (abs(x) + 1.0f))
ACTIVATION(softplus, softplus(x))
ACTIVATION(affine, x* alpha + splat(beta))
ACTIVATION(scaled_tanh, tanh(x* beta) * alpha)
#undef ACTIVATION

}  // namespace

EDGEORT_KERNEL(RnnKernels, rnn,
               {add,
                mul,
                multiply_add,
                complement,
                limit,
                {sigmoid_all, tanh_all, relu_all, hard_sigmoid_all, leaky_relu_all, thresholded_relu_all, elu_all, softsign_all,
                 softplus_all, affine_all, scaled_tanh_all}})

}  // namespace edgeort
