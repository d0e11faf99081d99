#include "sha512.h"

#include <string.h>

namespace edgeort {
namespace {

// The first 64 bits of the fractions of the cube roots of the first 80 primes.
constexpr u64 kRounds[80] = {
    0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc, 0x3956c25bf348b538, 0x59f111f1b605d019,
    0x923f82a4af194f9b, 0xab1c5ed5da6d8118, 0xd807aa98a3030242, 0x12835b0145706fbe, 0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2,
    0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235, 0xc19bf174cf692694, 0xe49b69c19ef14ad2, 0xefbe4786384f25e3,
    0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65, 0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5,
    0x983e5152ee66dfab, 0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4, 0xc6e00bf33da88fc2, 0xd5a79147930aa725,
    0x06ca6351e003826f, 0x142929670a0e6e70, 0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed, 0x53380d139d95b3df,
    0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b, 0xa2bfe8a14cf10364, 0xa81a664bbc423001,
    0xc24b8b70d0f89791, 0xc76c51a30654be30, 0xd192e819d6ef5218, 0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8,
    0x19a4c116b8d2d0c8, 0x1e376c085141ab53, 0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8, 0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb,
    0x5b9cca4f7763e373, 0x682e6ff3d6b2b8a3, 0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
    0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b, 0xca273eceea26619c, 0xd186b8c721c0c207,
    0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178, 0x06f067aa72176fba, 0x0a637dc5a2c898a6, 0x113f9804bef90dae, 0x1b710b35131c471b,
    0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc, 0x431d67c49c100d4c, 0x4cc5d4becb3e42b6, 0x597f299cfc657e2a,
    0x5fcb6fab3ad6faec, 0x6c44198c4a475817};

u64 rotate(u64 x, int bits) { return x >> bits | x << (64 - bits); }

u64 load(const u8* at) {
  u64 x;
  memcpy(&x, at, sizeof(x));
  return __builtin_bswap64(x);
}

void store(u64 x, u8* at) {
  x = __builtin_bswap64(x);
  memcpy(at, &x, sizeof(x));
}

}  // namespace

void Sha512::compress(const u8* block) {
  u64 w[80];
  for (int t = 0; t < 16; ++t) w[t] = load(block + 8 * t);
  for (int t = 16; t < 80; ++t) {
    const u64 a = w[t - 15], b = w[t - 2];
    w[t] = w[t - 16] + w[t - 7] + (rotate(a, 1) ^ rotate(a, 8) ^ a >> 7) + (rotate(b, 19) ^ rotate(b, 61) ^ b >> 6);
  }
  u64 s[8];
  memcpy(s, state_, sizeof(s));
  for (int first = 0; first < 80; first += 8) {
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      // Instead of moving the eight variables on by one, their names move: `at(0)` is what the standard calls a.
      const auto at = [&s, i](int name) -> u64& { return s[(name - i) & 7]; };
      const u64 choice = at(6) ^ (at(4) & (at(5) ^ at(6))), majority = (at(0) & at(1)) | (at(2) & (at(0) | at(1)));
      const u64 one = at(7) + (rotate(at(4), 14) ^ rotate(at(4), 18) ^ rotate(at(4), 41)) + choice + kRounds[first + i] + w[first + i];
      at(3) += one;
      at(7) = one + (rotate(at(0), 28) ^ rotate(at(0), 34) ^ rotate(at(0), 39)) + majority;
    }
  }
  for (int i = 0; i < 8; ++i) state_[i] += s[i];
}

void Sha512::update(const u8* data, size_t size) {
  const size_t held = size_ % kBlock;
  size_ += size;
  if (held) {
    const size_t taken = size < kBlock - held ? size : kBlock - held;
    memcpy(pending_ + held, data, taken);
    if (held + taken < kBlock) return;
    compress(pending_);
    data += taken;
    size -= taken;
  }
  for (; size >= kBlock; data += kBlock, size -= kBlock) compress(data);
  if (size) memcpy(pending_, data, size);
}

void Sha512::finish(u8 (&digest)[kBytes]) {
  // A one, zeros, and the number of bits in 128 bits, the first 64 of which are those above 2^61 bytes.
  u8 end[2 * kBlock] = {0x80};
  const size_t held = size_ % kBlock, length = (held < kBlock - 16 ? kBlock : 2 * kBlock) - held;
  store(size_ >> 61, end + length - 16);
  store(size_ << 3, end + length - 8);
  update(end, length);
  for (int i = 0; i < 8; ++i) store(state_[i], digest + 8 * i);
}

}  // namespace edgeort
