// Cast: any element type to any other, through the narrowest of five wide types that holds the source: float32, float64,
// int32, int64, uint64.
//
// To an integer, floats truncate and saturate (NaN is 0) and integers keep their low bits; to boolean, what is not zero is
// true; to float16 and bfloat16, to nearest, ties to even, and integers and float64 do so through float32 (float64 rounded to
// odd, so that the result is rounded once).
#include "cast.h"

#include <string.h>

#include "../../core/op.h"

namespace edgeort {

EDGEORT_KERNELS(CastKernels, typed_cast)

namespace {

constexpr i64 kTile = 512;

enum WideType : u8 { kF32, kF64, kI32, kI64, kU64 };
constexpr WideType kWideOf[kDTypes] = {kF32, kI32, kI32, kI32, kI32, kI32, kI64, kI32, kF32, kF64, kI64, kU64, kF32};

// Element types that C has no word for.
struct f16 {
  u16 bits;
};
struct bf16 {
  u16 bits;
};
struct boolean {
  u8 value;
};

template <class To, class From>
To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof(to));
  return to;
}

f32 widen(f16 x) {
  const u32 sign = static_cast<u32>(x.bits & 0x8000) << 16, rest = static_cast<u32>(x.bits & 0x7fff) << 13;
  // The exponent is rebased by a product, which also makes denormals normal; infinity and NaN are put back.
  const u32 magnitude = bits_as<u32>(bits_as<f32>(rest) * 0x1p112f);
  return bits_as<f32>(sign | magnitude | (rest >= 0x0f800000 ? 0x7f800000 : 0));
}
f32 widen(bf16 x) { return bits_as<f32>(static_cast<u32>(x.bits) << 16); }

template <class To>
struct Narrow;
template <>
struct Narrow<f16> {
  static f16 from(f32 x) {
    const u32 b = bits_as<u32>(x), sign = b >> 16 & 0x8000, a = b & 0x7fffffff;
    if (a >= 0x47800000) return {static_cast<u16>(sign | (a > 0x7f800000 ? 0x7e00 : 0x7c00))};
    if (a < 0x38800000) {  // denormal: adding 0.5 leaves the value's multiples of 2^-24 in the low bits
      return {static_cast<u16>(sign | (bits_as<u32>(bits_as<f32>(a) + 0.5f) - 0x3f000000))};
    }
    return {static_cast<u16>(sign | ((a - 0x38000000 + 0xfff + (a >> 13 & 1)) >> 13))};
  }
};
template <>
struct Narrow<bf16> {
  static bf16 from(f32 x) {
    const u32 b = bits_as<u32>(x);
    if ((b & 0x7fffffff) > 0x7f800000) return {static_cast<u16>(b >> 16 | 0x40)};
    return {static_cast<u16>((b + 0x7fff + (b >> 16 & 1)) >> 16)};
  }
};

// float64 -> float32 with an odd last bit where that is inexact: rounding it once more, to fewer bits, is then right.
f32 to_odd(f64 x) {
  const f32 y = static_cast<f32>(x);
  const u32 b = bits_as<u32>(y);
  if (static_cast<f64>(y) == x || x != x || (b & 1)) return y;
  const bool above = __builtin_fabs(static_cast<f64>(y)) > __builtin_fabs(x);
  return bits_as<f32>(above ? b - 1 : b + 1);
}

template <class To, class From>
To convert(From x) {
  constexpr bool from_float = From(0.5) != From(0);
  if constexpr (__is_same(To, boolean)) {
    return {x != 0};
  } else if constexpr (__is_same(To, f16) || __is_same(To, bf16)) {
    if constexpr (__is_same(From, f64)) return Narrow<To>::from(to_odd(x));
    return Narrow<To>::from(static_cast<f32>(x));
  } else if constexpr (from_float && To(0.5) == To(0)) {
    constexpr bool is_signed = To(-1) < To(0);
    constexpr int bits = sizeof(To) * 8 - is_signed;
    constexpr From above = static_cast<From>(u64{1} << (bits - 1)) * 2;  // the first value that is too large
    constexpr To highest = static_cast<To>((u64{1} << (bits - 1)) - 1 + (u64{1} << (bits - 1)));
    constexpr To lowest = is_signed ? static_cast<To>(-highest - 1) : 0;
    return x < above ? (x > static_cast<From>(lowest) ? static_cast<To>(x) : lowest) : x >= above ? highest : 0;
  } else {
    return static_cast<To>(x);
  }
}

template <class To, class From>
void narrow(void* to, const void* from, i64 n) {
  for (i64 i = 0; i < n; ++i) static_cast<To*>(to)[i] = convert<To>(static_cast<const From*>(from)[i]);
}
template <class From>
void widen_half(void* to, const void* from, i64 n) {
  for (i64 i = 0; i < n; ++i) static_cast<f32*>(to)[i] = widen(static_cast<const From*>(from)[i]);
}

using Convert = void (*)(void*, const void*, i64);

// To the wide type; null where the source is one.
constexpr Convert kWiden[kDTypes] = {nullptr,          narrow<i32, u8>, narrow<i32, i8>, narrow<i32, u16>, narrow<i32, i16>,
                                     nullptr,          nullptr,         narrow<i32, u8>, widen_half<f16>,  nullptr,
                                     narrow<i64, u32>, nullptr,         widen_half<bf16>};

#define EDGEORT_FROM(T)                                                                                                \
  {narrow<f32, T>,     narrow<u8, T>,  narrow<i8, T>,  narrow<u16, T>, narrow<i16, T>, narrow<i32, T>, narrow<i64, T>, \
   narrow<boolean, T>, narrow<f16, T>, narrow<f64, T>, narrow<u32, T>, narrow<u64, T>, narrow<bf16, T>}
constexpr Convert kNarrow[5][kDTypes] = {EDGEORT_FROM(f32), EDGEORT_FROM(f64), EDGEORT_FROM(i32), EDGEORT_FROM(i64), EDGEORT_FROM(u64)};

Status declare(Prepare& p) {
  if (!p.has(0)) return p.fail("needs an operand");
  const i64 to = p.params<AxisParams>().flag;
  if (to < 0 || to >= static_cast<i64>(kDTypes)) return p.fail("has no element type %lld", static_cast<long long>(to));
  return p.set(0, static_cast<DType>(to), p.in(0).dims, p.in(0).rank);
}

Status prepare(Prepare& p) {
  EDGEORT_TRY(declare(p));
  if (!p.wants(0)) return Status::ok;
  const Tensor& in = p.in(0);
  auto* isa = p.state<int>();
  if (!isa) return p.out_of_memory();
  *isa = p.isa();
  if (in.dtype > DType::bf16 || p.out(0).dtype > DType::bf16)
    return p.fail("converts neither small floats nor integers of less than 8 bits");
  if (in.dtype == p.out(0).dtype) {
    p.alias(0, 0);
  } else if (size_of(in.dtype) == size_of(p.out(0).dtype)) {
    p.overwrite(0, 0);
  }
  return Status::ok;
}

// Runs a conversion that has a kernel; false for others.
bool run_vectors(const Run& r, const CastKernels& kernels) {
  const Tensor& in = r.in(0);
  const Tensor& out = r.out(0);
  const auto all = [&](auto* to, const auto* from, auto kernel) {
    r.ranges(count(in), 16384, [&](i64 begin, i64 end, int) { kernel(to + begin, from + begin, end - begin); });
    return true;
  };
  if (out.dtype == DType::f32) {
    if (in.dtype == DType::f16) return all(out.as<f32>(), in.as<const u16>(), kernels.from_half);
    if (in.dtype == DType::u8) return all(out.as<f32>(), in.as<const u8>(), kernels.from_u8);
    if (in.dtype == DType::i8) return all(out.as<f32>(), in.as<const i8>(), kernels.from_i8);
  }
  if (in.dtype == DType::f32 && out.dtype == DType::f16) return all(out.as<u16>(), in.as<const f32>(), kernels.to_half);
  return in.dtype == DType::f32 && out.dtype == DType::u8 && all(out.as<u8>(), in.as<const f32>(), kernels.to_u8);
}

void run(Run& r) {
  if (!r.wants(0)) return;
  const Tensor& in = r.in(0);
  const Tensor& out = r.out(0);
  if (run_vectors(r, typed_cast(r.state<int>()))) return;
  const u8 from = static_cast<u8>(in.dtype), to = static_cast<u8>(out.dtype);
  const Convert narrow = kNarrow[kWideOf[from]][to], widen = kWiden[from];
  r.ranges(count(in), 16384, [&](i64 begin, i64 end, int) {
    alignas(64) u8 wide[kTile * sizeof(i64)];
    for (i64 i = begin; i < end; i += kTile) {
      const i64 n = min_of(kTile, end - i);
      const void* at = in.as<const u8>() + static_cast<size_t>(i) * size_of(in.dtype);
      if (widen) {
        widen(wide, at, n);
        at = wide;
      }
      narrow(out.as<u8>() + static_cast<size_t>(i) * size_of(out.dtype), at, n);
    }
  });
}

Status prepare_bits(Prepare& p) {
  EDGEORT_TRY(declare(p));
  if (!p.wants(0)) return Status::ok;
  if (size_of(p.in(0).dtype) != size_of(p.out(0).dtype)) return p.fail("the element types differ in size");
  if (points(p.in(0).dtype) != points(p.out(0).dtype)) return p.fail("the bits of pointers are no numbers");
  p.alias(0, 0);
  return Status::ok;
}

void run_bits(Run&) {}

}  // namespace

extern const OpDef kCast, kBitCast;
const OpDef kCast = {"Cast", sizeof(AxisParams), prepare, run};
const OpDef kBitCast = {"BitCast", sizeof(AxisParams), prepare_bits, run_bits};

}  // namespace edgeort
