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

// Many bytes at a time, from a table in registers.
struct Table {
#if defined(__AVX512BW__)
  static constexpr int kStep = 64;
  using Words = Vec<u16, 32>;
  using Signed = Vec<short, 32>;
  Signed words[4];  // of two bytes each

  EDGEORT_INLINE explicit Table(const q8* table) { __builtin_memcpy(words, table, sizeof(words)); }

  // The words that bits 0 to 5 of each index and `upper` choose.
  template <class M>
  EDGEORT_INLINE Words pick(Words index, M upper) const {
    const Signed at = bitcast<Signed>(index);
    return bitcast<Words>(
        select(upper, __builtin_ia32_vpermi2varhi512(words[2], at, words[3]), __builtin_ia32_vpermi2varhi512(words[0], at, words[1])));
  }

  EDGEORT_INLINE Words operator()(Words x) const {
    const Words even = pick(x >> 1, (x & 0x80) != 0) >> ((x & 1) << 3);
    const Words odd = pick(x >> 9, (x & 0x8000) != 0) >> ((x >> 5) & 8);
    return (even & 0xff) | (odd << 8);
  }

  EDGEORT_INLINE void row(const q8* x, q8* y, i64 n) const {
    i64 i = 0;
    for (; i + kStep <= n; i += kStep) store(y + i, (*this)(load_as<Words>(x + i)));
    if (i == n) return;
    using C = Vec<char, kStep>;
    const u64 mask = ~u64{0} >> (kStep - (n - i));
    const Words last = (*this)(bitcast<Words>(__builtin_ia32_loaddquqi512_mask(reinterpret_cast<const C*>(x + i), C{}, mask)));
    __builtin_ia32_storedquqi512_mask(reinterpret_cast<C*>(y + i), bitcast<C>(last), mask);
  }
#elif defined(__aarch64__)
  static constexpr int kStep = 16;
  uint8x16x4_t parts[4];

  EDGEORT_INLINE explicit Table(const q8* table) { __builtin_memcpy(parts, table, sizeof(parts)); }

  // Beyond a part's 64 bytes a look-up gives 0, or leaves what was there.
  EDGEORT_INLINE uint8x16_t operator()(uint8x16_t x) const {
    uint8x16_t y = vqtbl4q_u8(parts[0], x);
#pragma clang loop unroll(full)
    for (int i = 1; i < 4; ++i) y = vqtbx4q_u8(y, parts[i], x - static_cast<u8>(64 * i));
    return y;
  }

  EDGEORT_INLINE void row(const q8* x, q8* y, i64 n) const {
    i64 i = 0;
    for (; i + kStep <= n; i += kStep) store(y + i, (*this)(load_as<uint8x16_t>(x + i)));
    if (i == n) return;
    uint8x16_t last = {};
    __builtin_memcpy(&last, x + i, static_cast<size_t>(n - i));
    last = (*this)(last);
    __builtin_memcpy(y + i, &last, static_cast<size_t>(n - i));
  }
#else
  static constexpr int kStep = 1;
  const q8* bytes;

  EDGEORT_INLINE explicit Table(const q8* table) : bytes(table) {}

  EDGEORT_INLINE void row(const q8* x, q8* y, i64 n) const {
    for (i64 i = 0; i < n; ++i) y[i] = bytes[static_cast<u8>(x[i])];
  }
#endif
};

void look_up(const LookUp& to) {
  const Table table(to.table);
  for (i64 m = 0; m < to.rows; ++m) table.row(to.x + m * to.x_step, to.y + m * to.y_step, to.columns);
}

}  // namespace

EDGEORT_KERNEL(ByteKernels, bytes_of_q8, {dequantize, quantize, add, look_up, Table::kStep > 1})

#define UNARY(name, formula) \
  EDGEORT_KERNEL(UopPair, uop_##name, {run<name##Uop, false>, run<name##Uop, false>, kQuantised<name##Uop>, kQuantised<name##Uop>})
#define BINARY(name, formula) \
  EDGEORT_KERNEL(UopPair, uop_##name, {run<name##Uop, false>, run<name##Uop, true>, kQuantised<name##Uop>, nullptr})
#include "uops.inc"
#undef UNARY
#undef BINARY

}  // namespace edgeort
