// The micro-operations for one ISA level.
#include "../../simd/bytes.h"
#include "../../simd/math.h"
#include "program.h"

namespace edgeort {
namespace {

// What a formula sees: its operands x and y, and its immediates as numbers (f0, f1) and as vectors (p0, p1).
#define UOP_(name, binary, formula)                                                         \
  struct name##Uop {                                                                        \
    static constexpr bool kBinary = binary;                                                 \
    template <class T>                                                                      \
    static EDGEORT_INLINE T apply(T x, [[maybe_unused]] T y, f32 f0, f32 f1) {              \
      [[maybe_unused]] const T p0 = splat<T>(f0), p1 = splat<T>(f1), zero = splat<T>(0.0f); \
      return formula;                                                                       \
    }                                                                                       \
  };
#define UNARY(name, formula) UOP_(name, false, formula)
#define BINARY(name, formula) UOP_(name, true, formula)
#include "uops.inc"
#undef UNARY
#undef BINARY

template <class Op, bool kScalar>
void run(f32* dst, const f32* a, const f32* b, i64 n, const Instruction& instruction) {
  const f32 p0 = instruction.p0, p1 = instruction.p1;
  constexpr bool kReadsB = Op::kBinary && !kScalar;
  const vf one = Op::kBinary && kScalar ? splat(b[0]) : vf{};
  for (; n >= kLanes; n -= kLanes, dst += kLanes, a += kLanes) {
    store(dst, Op::template apply<vf>(load(a), kReadsB ? load(b) : one, p0, p1));
    if constexpr (kReadsB) b += kLanes;
  }
  if (n > 0) {
    const int rest = static_cast<int>(n);
    store_n(dst, Op::template apply<vf>(load_n(a, rest), kReadsB ? load_n(b, rest) : one, p0, p1), rest);
  }
}

// A step at a time, so that no value goes to memory between the function and its bytes.
template <class Op>
void run_quantised(q8* dst, const f32* a, const f32* b, i64 n, const Instruction* code) {
  const f32 p0 = code[0].p0, p1 = code[0].p1;
  const Quantizer quantizer(code[1].p0, static_cast<i32>(code[1].p1));
  for (i64 i = 0; i < n; i += kByteStep) {
    const i64 left = n - i < kByteStep ? n - i : kByteStep;
    const bool part = left < kByteStep;
    const size_t size = static_cast<size_t>(left) * sizeof(f32);
    f32 first[kByteStep], second[kByteStep];  // of a part
    const f32 *x = a + i, *y = Op::kBinary ? b + i : nullptr;
    if (part) {
      __builtin_memset(first, 0, sizeof(first));
      __builtin_memcpy(first, x, size);
      x = first;
      if constexpr (Op::kBinary) {
        __builtin_memset(second, 0, sizeof(second));
        __builtin_memcpy(second, y, size);
        y = second;
      }
    }
    vf v[kByteVectors];
#pragma clang loop unroll(full)
    for (int k = 0; k < kByteVectors; ++k)
      v[k] = Op::template apply<vf>(load(x + k * kLanes), Op::kBinary ? load(y + k * kLanes) : vf{}, p0, p1);
    const Bytes bytes = quantizer(v);
    part ? store_step(dst + i, bytes, static_cast<int>(left)) : store(dst + i, bytes);
  }
}

// What networks have before Quantize.
template <class Op>
constexpr QuantisedUopFn kQuantised = nullptr;
template <>
constexpr QuantisedUopFn kQuantised<AddUop> = run_quantised<AddUop>;
template <>
constexpr QuantisedUopFn kQuantised<MulUop> = run_quantised<MulUop>;
template <>
constexpr QuantisedUopFn kQuantised<HardSwishUop> = run_quantised<HardSwishUop>;
template <>
constexpr QuantisedUopFn kQuantised<SiluUop> = run_quantised<SiluUop>;
template <>
constexpr QuantisedUopFn kQuantised<GeluUop> = run_quantised<GeluUop>;

void dequantize(f32* dst, const q8* x, i64 n, f32 scale, i32 zero_point) { dequantize_all(dst, x, n, Dequantizer(scale, zero_point)); }

void quantize(q8* dst, const f32* x, i64 n, f32 scale, i32 zero_point) { quantize_all(dst, x, n, Quantizer(scale, zero_point)); }

void add(q8* dst, const q8* a, const q8* b, i64 n, const Instruction* code) {
  const Dequantizer first(code[0].p0, static_cast<i32>(code[0].p1)), second(code[1].p0, static_cast<i32>(code[1].p1));
  const Quantizer quantizer(code[3].p0, static_cast<i32>(code[3].p1));
  byte_steps(n, [&](i64 i, int m) __attribute__((always_inline)) {
    vf x[kByteVectors], y[kByteVectors];
    first(load_step(a + i, m), x);
    second(load_step(b + i, m), y);
#pragma clang loop unroll(full)
    for (int k = 0; k < kByteVectors; ++k) x[k] = x[k] + y[k];
    store_step(dst + i, quantizer(x), m);
  });
}

}  // namespace

EDGEORT_KERNEL(ByteKernels, bytes_of_q8, {dequantize, quantize, add})

#define UNARY(name, formula) \
  EDGEORT_KERNEL(UopPair, uop_##name, {run<name##Uop, false>, run<name##Uop, false>, kQuantised<name##Uop>, kQuantised<name##Uop>})
#define BINARY(name, formula) \
  EDGEORT_KERNEL(UopPair, uop_##name, {run<name##Uop, false>, run<name##Uop, true>, kQuantised<name##Uop>, nullptr})
#include "uops.inc"
#undef UNARY
#undef BINARY

}  // namespace edgeort
