// Numbers modulo p = 2^255 - 19, for Ed25519. Not in constant time: what is verified is public.
#pragma once
#include "plan_layout.h"

namespace edgeort {

// Little-endian words of 32 bits, of which the product and two more fit 64: the same code on 32- and 64-bit cores. Between operations a
// number is below 2^256, and not reduced further: 2^256 is 38 modulo p.
struct Field {
  static constexpr int kWords = 8;
  static constexpr size_t kBytes = 32;

  u32 word[kWords];

  // The remainder below p, as bytes.
  void encode(u8 (&out)[kBytes]) const;
  bool is_odd() const;
  bool is_zero() const;
  Field power(const Field& exponent) const;
};

Field operator+(const Field& a, const Field& b);
Field operator-(const Field& a, const Field& b);
Field operator*(const Field& a, const Field& b);
inline bool operator==(const Field& a, const Field& b) { return (a - b).is_zero(); }

// Plain numbers of 256 bits: whether a < b; a - b where it is not negative.
bool less(const u32 (&a)[Field::kWords], const u32 (&b)[Field::kWords]);
void subtract(u32 (&a)[Field::kWords], const u32 (&b)[Field::kWords]);

inline constexpr Field kPrime = {{0xffffffed, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x7fffffff}};

}  // namespace edgeort
