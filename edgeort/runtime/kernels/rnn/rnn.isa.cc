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

// Vectors of n values; the last may be a part of one.
template <class F>
EDGEORT_INLINE void vectors(i64 n, const F& f) {
  i64 i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    f([=](const f32* from) { return load(from + i); }, [=](f32* to, vf x) { store(to + i, x); });
  }
  const int left = static_cast<int>(n - i);
  if (left) f([=](const f32* from) { return load_n(from + i, left); }, [=](f32* to, vf x) { store_n(to + i, x, left); });
}

void lstm(f32* h, f32* cell, const f32* gates, const f32* state, i64 n) {
  vectors(n, [=](const auto& get, const auto& put) {
    const auto sum = [&](i64 gate) -> vf { return get(gates + gate * n) + get(state + gate * n); };
    const vf i = sigmoid(sum(0)), f = sigmoid(sum(2)), g = tanh(sum(3)), o = sigmoid(sum(1));
    const vf c = fma(f, get(cell), i * g);
    put(cell, c);
    put(h, o * tanh(c));
  });
}

void gru_gates(f32* gates, const f32* state, i64 count) {
  each(gates, count, [](vf a, vf b) -> vf { return sigmoid(a + b); }, gates, state);
}

void gru_state(f32* h, const f32* gates, const f32* state, i64 n) {
  vectors(n, [=](const auto& get, const auto& put) {
    const vf z = get(gates), next = tanh(get(gates + 2 * n) + get(gates + n) * get(state));
    put(h, fma(z, get(h), (1.0f - z) * next));
  });
}

}  // namespace

EDGEORT_KERNEL(RnnKernels, rnn,
               {add,
                mul,
                multiply_add,
                complement,
                limit,
                {sigmoid_all, tanh_all, relu_all, hard_sigmoid_all, leaky_relu_all, thresholded_relu_all, elu_all, softsign_all,
                 softplus_all, affine_all, scaled_tanh_all},
                lstm,
                gru_gates,
                gru_state})

}  // namespace edgeort
