// Conversions for one ISA level.
#include "cast.h"

#include "../../simd/half.h"
#include "../../simd/vec.h"

namespace edgeort {
namespace {

// to[i] = convert(vector of from) for i < n; `convert` goes from kLanes elements at one address to as many at another.
template <class To, class From, class F>
EDGEORT_INLINE void convert_all(To* to, const From* from, i64 n, const F& convert) {
  i64 i = 0;
  for (; i + kLanes <= n; i += kLanes) convert(to + i, from + i);
  if (i == n) return;
  From some[kLanes] = {};
  To made[kLanes];
  __builtin_memcpy(some, from + i, static_cast<size_t>(n - i) * sizeof(From));
  convert(made, some);
  __builtin_memcpy(to + i, made, static_cast<size_t>(n - i) * sizeof(To));
}

void from_half(f32* to, const u16* from, i64 n) {
  convert_all(to, from, n, [](f32* y, const u16* x) __attribute__((always_inline)) { store(y, load_halves<kLanes>(x)); });
}

void to_half(u16* to, const f32* from, i64 n) {
  convert_all(to, from, n, [](u16* y, const f32* x) __attribute__((always_inline)) { store_halves<kLanes>(y, load(x)); });
}

template <class T>
void from_byte(f32* to, const T* from, i64 n) {
  convert_all(to, from, n, [](f32* y, const T* x) __attribute__((always_inline)) {
    store(y, __builtin_convertvector((load_as<Vec<T, kLanes>>(x)), vf));
  });
}

void to_u8(u8* to, const f32* from, i64 n) {
  convert_all(to, from, n, [](u8* y, const f32* x) __attribute__((always_inline)) {
    const vf v = load(x), clipped = vmin(select(v > 0.0f, v, vf{}), splat(255.0f));
    store(y, __builtin_convertvector(to_int_trunc(clipped), Vec<u8, kLanes>));
  });
}

}  // namespace

EDGEORT_KERNEL(CastKernels, typed_cast, {from_half, to_half, from_byte<u8>, from_byte<i8>, to_u8})

}  // namespace edgeort
