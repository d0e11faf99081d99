#include "ed25519.h"

#include <string.h>

#include "field25519.h"
#include "sha512.h"

namespace edgeort {
namespace {

constexpr Field kOne = {{1}};
constexpr Field kD = {
    {0x135978a3, 0x75eb4dca, 0x4141d8ab, 0x00700a4d, 0x7779e898, 0x8cc74079, 0x2b6ffe73, 0x52036cee}};  // -121665 / 121666
constexpr Field kRootOfMinusOne = {{0x4a0ea0b0, 0xc4ee1b27, 0xad2fe478, 0x2f431806, 0x3dfbd7a7, 0x2b4d0099, 0x4fc1df0b, 0x2b832480}};
constexpr Field kInverse = {{0xffffffeb, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x7fffffff}};  // p - 2
constexpr Field kRoot = {{0xfffffffd, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x0fffffff}};  // (p - 5) / 8
constexpr u32 kOrder[Field::kWords] = {0x5cf5d3ed, 0x5812631a, 0xa2f79cd6, 0x14def9de, 0, 0, 0, 0x10000000};

// x = X / Z, y = Y / Z, x y = T / Z.
struct Point {
  Field x, y, z, t;
};

constexpr Point kNeutral = {{}, kOne, kOne, {}};
constexpr Point kBase = {// whose y is 4 / 5, and x even
                         {{0x8f25d51a, 0xc9562d60, 0x9525a7b2, 0x692cc760, 0xfdd6dc5c, 0xc0a4e231, 0xcd6e53fe, 0x216936d3}},
                         {{0x66666658, 0x66666666, 0x66666666, 0x66666666, 0x66666666, 0x66666666, 0x66666666, 0x66666666}},
                         kOne,
                         {{0xa5b7dda3, 0x6dde8ab3, 0x775152f5, 0x20f09f80, 0x64abe37d, 0x66ea4e8e, 0xd78b7665, 0x67875f0f}}};

Point from_halves(const Field& e, const Field& f, const Field& g, const Field& h) { return {e * f, g * h, f * g, e * h}; }

// Section 5.1.4.
Point operator+(const Point& p, const Point& q) {
  const Field a = (p.y - p.x) * (q.y - q.x), b = (p.y + p.x) * (q.y + q.x);
  const Field c = p.t * (kD + kD) * q.t, d = p.z * (q.z + q.z);
  return from_halves(b - a, d - c, d + c, b + a);
}

Point doubled(const Point& p) {
  const Field a = p.x * p.x, b = p.y * p.y, z = p.z * p.z, sum = p.x + p.y;
  const Field h = a + b, g = a - b;
  return from_halves(h - sum * sum, z + z + g, g, h);
}

Point operator-(const Point& p) { return {Field{} - p.x, p.y, p.z, Field{} - p.t}; }

// Section 5.1.3. False for bytes that are no point.
bool decode(const u8* bytes, Point* point) {
  Field y;
  memcpy(y.word, bytes, kKeyBytes);
  const bool odd = y.word[Field::kWords - 1] >> 31;
  y.word[Field::kWords - 1] &= 0x7fffffff;
  if (!less(y.word, kPrime.word)) return false;
  const Field square = y * y, u = square - kOne, v = kD * square + kOne, cube = v * v * v;
  Field x = u * cube * (u * cube * cube * v).power(kRoot);
  const Field check = v * x * x;
  if (check == Field{} - u) {
    x = x * kRootOfMinusOne;
  } else if (!(check == u)) {
    return false;
  }
  if (x.is_zero() && odd) return false;
  if (x.is_odd() != odd) x = Field{} - x;
  *point = {x, y, kOne, x * y};
  return true;
}

void encode(const Point& point, u8 (&out)[kKeyBytes]) {
  const Field inverse = point.z.power(kInverse);
  (point.y * inverse).encode(out);
  out[kKeyBytes - 1] |= static_cast<u8>((point.x * inverse).is_odd() << 7);
}

// The remainder of a number of 512 bits by the order of the base point, bit by bit.
void reduce(const u8 (&number)[Sha512::kBytes], u32 (&out)[Field::kWords]) {
  memset(out, 0, sizeof(out));
  for (int bit = 8 * static_cast<int>(Sha512::kBytes) - 1; bit >= 0; --bit) {
    u32 carry = number[bit / 8] >> bit % 8 & 1;
    for (u32& word : out) {
      const u32 top = word >> 31;
      word = word << 1 | carry;
      carry = top;
    }
    if (!less(out, kOrder)) subtract(out, kOrder);
  }
}

// a * p + b * q, their bits side by side (Straus 1964).
Point sum_of_multiples(const u32 (&a)[Field::kWords], const Point& p, const u32 (&b)[Field::kWords], const Point& q) {
  const Point sums[4] = {kNeutral, p, q, p + q};
  Point result = kNeutral;
  for (int bit = 32 * Field::kWords - 1; bit >= 0; --bit) {
    result = doubled(result);
    const u32 which = (a[bit / 32] >> bit % 32 & 1) | (b[bit / 32] >> bit % 32 & 1) << 1;
    if (which) result = result + sums[which];
  }
  return result;
}

}  // namespace

// Section 5.1.7, without the cofactor: S B - k A is encoded and compared with R.
bool is_signed(const u8* data, size_t size, const u8* signature, const u8* public_key) {
  u32 s[Field::kWords], k[Field::kWords];
  memcpy(s, signature + kKeyBytes, sizeof(s));
  Point key;
  if (!less(s, kOrder) || !decode(public_key, &key)) return false;
  Sha512 hash;
  hash.update(signature, kKeyBytes);
  hash.update(public_key, kKeyBytes);
  hash.update(data, size);
  u8 digest[Sha512::kBytes];
  hash.finish(digest);
  reduce(digest, k);
  u8 expected[kKeyBytes];
  encode(sum_of_multiples(s, kBase, k, -key), expected);
  return !memcmp(expected, signature, kKeyBytes);
}

}  // namespace edgeort
