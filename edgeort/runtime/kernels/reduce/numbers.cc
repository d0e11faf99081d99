#include "numbers.h"

namespace edgeort {
namespace {

// Integers are added and multiplied as unsigned numbers: they wrap.
template <class T>
struct Word {
  using type = u64;
};
template <>
struct Word<f64> {
  using type = f64;
};

template <class T>
constexpr bool kFloat = __is_same(T, f64);

template <class T>
constexpr T lowest() {
  if constexpr (kFloat<T>) {
    return -__builtin_inf();
  } else {
    return T(-1) < T(0) ? static_cast<T>(u64{1} << (sizeof(T) * 8 - 1)) : T(0);
  }
}
template <class T>
constexpr T highest() {
  if constexpr (kFloat<T>) {
    return __builtin_inf();
  } else {
    return static_cast<T>(~static_cast<u64>(lowest<T>()));
  }
}

#define EDGEORT_NUMBER(Name, start_value, formula)       \
  struct Name {                                          \
    template <class T>                                   \
    static constexpr T first() {                         \
      return start_value;                                \
    }                                                    \
    template <class T>                                   \
    static T step(T t, T x) {                            \
      using W [[maybe_unused]] = typename Word<T>::type; \
      return static_cast<T>(formula);                    \
    }                                                    \
  };
EDGEORT_NUMBER(SumFold, 0, static_cast<W>(t) + static_cast<W>(x))
EDGEORT_NUMBER(ProdFold, 1, static_cast<W>(t) * static_cast<W>(x))
EDGEORT_NUMBER(AbsoluteFold, 0, x < 0 ? static_cast<W>(t) - static_cast<W>(x) : static_cast<W>(t) + static_cast<W>(x))
EDGEORT_NUMBER(SquareFold, 0, static_cast<W>(t) + static_cast<W>(x) * static_cast<W>(x))
EDGEORT_NUMBER(MaxFold, lowest<T>(), t < x || x != x ? x : t)
EDGEORT_NUMBER(MinFold, highest<T>(), x < t || x != x ? x : t)
#undef EDGEORT_NUMBER

template <class T, class F>
void start(void* total) {
  *static_cast<T*>(total) = F::template first<T>();
}
template <class T, class F>
void take(void* total, const void* x, i64 n) {
  T t = *static_cast<T*>(total);
  for (i64 i = 0; i < n; ++i) t = F::template step<T>(t, static_cast<const T*>(x)[i]);
  *static_cast<T*>(total) = t;
}
// Integers truncate; the mean of no integer is 0.
template <class T>
void mean(void* total, i64 length) {
  T& t = *static_cast<T*>(total);
  if constexpr (kFloat<T>) {
    t = t / static_cast<T>(length);
  } else {
    t = length == 0 ? 0
                    : static_cast<T>(T(-1) < T(0) ? static_cast<i64>(t) / length
                                                  : static_cast<i64>(static_cast<u64>(t) / static_cast<u64>(length)));
  }
}
void root(void* total, i64) { *static_cast<f64*>(total) = __builtin_sqrt(*static_cast<f64*>(total)); }

template <class T, class F>
constexpr NumberFold of(void (*finish)(void*, i64) = nullptr) {
  return {start<T, F>, take<T, F>, finish};
}
constexpr NumberFold kNo = {nullptr, nullptr, nullptr};

}  // namespace

#define EDGEORT_WIDE(F) {kNo, kNo, kNo, kNo, kNo, of<i32, F>(), of<i64, F>(), kNo, kNo, of<f64, F>(), of<u32, F>(), of<u64, F>(), kNo}
#define EDGEORT_ALL(F) \
  {kNo, of<u8, F>(), of<i8, F>(), kNo, kNo, of<i32, F>(), of<i64, F>(), of<bool, F>(), kNo, of<f64, F>(), of<u32, F>(), of<u64, F>(), kNo}
const NumberFold kSumOf[kDTypes] = EDGEORT_WIDE(SumFold);
const NumberFold kMeanOf[kDTypes] = {kNo,
                                     kNo,
                                     kNo,
                                     kNo,
                                     kNo,
                                     of<i32, SumFold>(mean<i32>),
                                     of<i64, SumFold>(mean<i64>),
                                     kNo,
                                     kNo,
                                     of<f64, SumFold>(mean<f64>),
                                     of<u32, SumFold>(mean<u32>),
                                     of<u64, SumFold>(mean<u64>),
                                     kNo};
const NumberFold kMaxOf[kDTypes] = EDGEORT_ALL(MaxFold);
const NumberFold kMinOf[kDTypes] = EDGEORT_ALL(MinFold);
const NumberFold kProdOf[kDTypes] = EDGEORT_WIDE(ProdFold);
const NumberFold kL1Of[kDTypes] = EDGEORT_WIDE(AbsoluteFold);
const NumberFold kL2Of[kDTypes] = {kNo, kNo, kNo, kNo, kNo, kNo, kNo, kNo, kNo, of<f64, SquareFold>(root), kNo, kNo, kNo};
const NumberFold kSumSquareOf[kDTypes] = EDGEORT_WIDE(SquareFold);
const NumberFold kNoneOf[kDTypes] = {};

}  // namespace edgeort
