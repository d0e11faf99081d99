#include "field25519.h"

#include <string.h>

namespace edgeort {
namespace {

constexpr u32 kFold = 38;

// Adds small * 38, modulo p: `small` is what stands above 2^256.
void fold(Field& number, u32 small) {
  while (small) {
    u64 carry = u64{small} * kFold;
    for (u32& word : number.word) {
      carry += word;
      word = static_cast<u32>(carry);
      carry >>= 32;
    }
    small = static_cast<u32>(carry);
  }
}

Field reduced(const Field& number) {
  Field result = number;
  while (!less(result.word, kPrime.word)) subtract(result.word, kPrime.word);
  return result;
}

}  // namespace

bool less(const u32 (&a)[Field::kWords], const u32 (&b)[Field::kWords]) {
  for (int i = Field::kWords - 1; i >= 0; --i)
    if (a[i] != b[i]) return a[i] < b[i];
  return false;
}

void subtract(u32 (&a)[Field::kWords], const u32 (&b)[Field::kWords]) {
  i64 borrow = 0;
  for (int i = 0; i < Field::kWords; ++i) {
    borrow += i64{a[i]} - b[i];
    a[i] = static_cast<u32>(borrow);
    borrow >>= 32;
  }
}

Field operator+(const Field& a, const Field& b) {
  Field sum;
  u64 carry = 0;
  for (int i = 0; i < Field::kWords; ++i) {
    carry += u64{a.word[i]} + b.word[i];
    sum.word[i] = static_cast<u32>(carry);
    carry >>= 32;
  }
  fold(sum, static_cast<u32>(carry));
  return sum;
}

Field operator-(const Field& a, const Field& b) {
  Field difference = a;
  // Below p, b leaves p - b positive.
  Field negated = kPrime;
  subtract(negated.word, reduced(b).word);
  return difference + negated;
}

Field operator*(const Field& a, const Field& b) {
  u32 product[2 * Field::kWords] = {};
  for (int i = 0; i < Field::kWords; ++i) {
    u64 carry = 0;
    for (int j = 0; j < Field::kWords; ++j) {
      carry += u64{a.word[i]} * b.word[j] + product[i + j];
      product[i + j] = static_cast<u32>(carry);
      carry >>= 32;
    }
    product[i + Field::kWords] = static_cast<u32>(carry);
  }
  Field low;
  u64 carry = 0;
  for (int i = 0; i < Field::kWords; ++i) {
    carry += u64{product[i + Field::kWords]} * kFold + product[i];
    low.word[i] = static_cast<u32>(carry);
    carry >>= 32;
  }
  fold(low, static_cast<u32>(carry));
  return low;
}

void Field::encode(u8 (&out)[kBytes]) const {
  const Field number = reduced(*this);
  memcpy(out, number.word, kBytes);
}

bool Field::is_odd() const { return reduced(*this).word[0] & 1; }

bool Field::is_zero() const {
  const Field number = reduced(*this);
  u32 any = 0;
  for (const u32 word : number.word) any |= word;
  return !any;
}

Field Field::power(const Field& exponent) const {
  Field result = {{1}};
  for (int bit = 32 * kWords - 1; bit >= 0; --bit) {
    result = result * result;
    if (exponent.word[bit / 32] >> bit % 32 & 1) result = result * *this;
  }
  return result;
}

}  // namespace edgeort
