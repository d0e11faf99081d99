// Element types of 8 bits and fewer that are only stored: ToSmall and FromSmall convert them from and to the type that they are
// computed in, float32 for floats and int32 for integers.
//
// To a float: to nearest, ties to even; what is too large becomes the largest, or, unsaturated, infinity, or NaN where there is
// none (OCP 8-bit floating point specification 1.0; Noune et al. 2022, arXiv:2206.02915, for those without -0). To e8m0, a power of
// two: up, down or to nearest, of the absolute value. To an integer: its low bits.
#include <string.h>

#include "../../core/op.h"

namespace edgeort {
namespace {

// How values that have none are stored, and how floats become powers of two.
struct Mode {
  bool saturate;
  enum Rounding : u8 { up, down, nearest } rounding;
};

u32 bits_of(f32 x) {
  u32 bits;
  memcpy(&bits, &x, sizeof(bits));
  return bits;
}
f32 float_of(u32 bits) {
  f32 x;
  memcpy(&x, &bits, sizeof(x));
  return x;
}

// A sign, an exponent and `fraction` bits. Codes above `highest`, without sign, are infinity or NaN; `over` is what unsaturated
// values become and `nan` the code of NaN. fnuz: no -0, whose code is NaN.
template <int exponent, int fraction, int bias, u8 highest, u8 over, u8 nan, bool fnuz = false>
struct Mini {
  using Wide = f32;
  static constexpr u8 kSign = 1 << (exponent + fraction);

  static f32 decode(u8 code) {
    const u8 rest = code & (kSign - 1);
    const u32 sign = code & kSign ? 0x80000000u : 0;
    const bool special = fnuz ? (code & (2 * kSign - 1)) == kSign : rest > highest;
    if (special) return float_of(sign | (over != nan && rest == over ? 0x7f800000 : 0x7fc00000));
    // The exponent is rebased by a product, which also makes denormals normal.
    const f32 scale = float_of(static_cast<u32>(127 + 127 - bias) << 23);
    return float_of(sign | bits_of(float_of(static_cast<u32>(rest) << (23 - fraction)) * scale));
  }

  static u8 encode(f32 x, Mode mode) {
    const u32 b = bits_of(x), a = b & 0x7fffffff;
    const u8 sign = b >> 31 ? kSign : 0;
    if (a > 0x7f800000) return fnuz ? kSign : static_cast<u8>(sign | nan);
    constexpr u32 least = static_cast<u32>(128 - bias) << 23;  // the bits of the smallest normal number
    constexpr u32 half = (1u << (22 - fraction)) - 1;
    // Adding 2^(23 + the exponent of a denormal's last bit) rounds a denormal to its code in the low bits.
    constexpr u32 magic = static_cast<u32>(127 + 23 + 1 - bias - fraction) << 23;
    const u32 code = a < least ? bits_of(float_of(a) + float_of(magic)) - magic
                               : ((a + half + (a >> (23 - fraction) & 1)) >> (23 - fraction)) - (static_cast<u32>(127 - bias) << fraction);
    if (code > highest) return fnuz && !mode.saturate ? kSign : static_cast<u8>(sign | (mode.saturate ? highest : over));
    return fnuz && code == 0 ? 0 : static_cast<u8>(sign | code);
  }
};

// 2^(code - 127); 255 is NaN.
struct Power {
  using Wide = f32;
  static f32 decode(u8 code) { return code == 255 ? float_of(0x7fc00000) : code == 0 ? 0x1p-127f : float_of(static_cast<u32>(code) << 23); }
  static u8 encode(f32 x, Mode mode) {
    const u32 a = bits_of(x) & 0x7fffffff, exponent = a >> 23, fraction = a & 0x7fffff;
    if (exponent == 255) return 255;
    const bool more = mode.rounding == Mode::up ? fraction != 0 : mode.rounding == Mode::nearest && fraction + (exponent > 0) > 0x400000;
    return static_cast<u8>(exponent + (more && !(mode.saturate && exponent == 254)));
  }
};

template <int bits, bool is_signed>
struct Integer {
  using Wide = i32;
  static i32 decode(u8 code) {
    const u32 top = static_cast<u32>(code) << (32 - bits);
    return is_signed ? static_cast<i32>(top) >> (32 - bits) : static_cast<i32>(top >> (32 - bits));
  }
  static u8 encode(i32 x, Mode) { return static_cast<u8>(decode(static_cast<u8>(x))); }
};

struct Small {
  DType wide;
  void (*decode)(void* to, const u8* from, i64 n);
  void (*encode)(u8* to, const void* from, i64 n, Mode mode);
};

template <class T>
constexpr Small of() {
  using Wide = typename T::Wide;
  return {__is_same(Wide, f32) ? DType::f32 : DType::i32,
          [](void* to, const u8* from, i64 n) {
            for (i64 i = 0; i < n; ++i) static_cast<Wide*>(to)[i] = T::decode(from[i]);
          },
          [](u8* to, const void* from, i64 n, Mode mode) {
            for (i64 i = 0; i < n; ++i) to[i] = T::encode(static_cast<const Wide*>(from)[i], mode);
          }};
}

// In the order of DType, from f8e4m3fn on.
constexpr Small kSmall[] = {
    of<Mini<4, 3, 7, 0x7e, 0x7f, 0x7f>>(),
    of<Mini<4, 3, 8, 0x7f, 0x7f, 0x7f, true>>(),
    of<Mini<5, 2, 15, 0x7b, 0x7c, 0x7e>>(),
    of<Mini<5, 2, 16, 0x7f, 0x7f, 0x7f, true>>(),
    of<Power>(),
    of<Mini<2, 1, 1, 0x07, 0x07, 0x08>>(),
    of<Integer<4, true>>(),
    of<Integer<4, false>>(),
    of<Integer<2, true>>(),
    of<Integer<2, false>>(),
};

const Small* small(DType dtype) {
  const int row = static_cast<int>(dtype) - static_cast<int>(DType::f8e4m3fn);
  return row >= 0 && dtype <= DType::u2 ? &kSmall[row] : nullptr;
}

Status prepare_to(Prepare& p) {
  const i64 to = p.params<AxisParams>().flag;
  if (!p.has(0) || to < 0 || to >= i64{kDTypes}) return p.fail("it needs an input and the type of its output");
  const Small* s = small(static_cast<DType>(to));
  if (!s || p.in(0).dtype != s->wide) return p.fail("it makes small types of float32 or int32");
  return p.set(0, static_cast<DType>(to), p.in(0).dims, p.in(0).rank);
}

Status prepare_from(Prepare& p) {
  const Small* s = p.has(0) ? small(p.in(0).dtype) : nullptr;
  return s ? p.set(0, s->wide, p.in(0).dims, p.in(0).rank) : p.fail("its input is of no small type");
}

void run_to(Run& r) {
  if (!r.wants(0)) return;
  const i64 options = r.params<AxisParams>().axis;
  const Mode mode = {(options & 1) == 0, static_cast<Mode::Rounding>(options >> 1 & 3)};
  const u8* from = r.in(0).as<const u8>();
  u8* to = r.out(0).as<u8>();
  const auto encode = small(r.out(0).dtype)->encode;
  r.ranges(count(r.out(0)), 4096, [&](i64 begin, i64 end, int) { encode(to + begin, from + 4 * begin, end - begin, mode); });
}

void run_from(Run& r) {
  if (!r.wants(0)) return;
  const u8* from = r.in(0).as<const u8>();
  u8* to = r.out(0).as<u8>();
  const auto decode = small(r.in(0).dtype)->decode;
  r.ranges(count(r.out(0)), 4096, [&](i64 begin, i64 end, int) { decode(to + 4 * begin, from + begin, end - begin); });
}

}  // namespace

extern const OpDef kToSmall, kFromSmall;
const OpDef kToSmall = {"ToSmall", sizeof(AxisParams), prepare_to, run_to};
const OpDef kFromSmall = {"FromSmall", 0, prepare_from, run_from};

}  // namespace edgeort
