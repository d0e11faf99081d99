// SHA-512 (FIPS 180-4, section 6.4), fed in pieces.
#pragma once
#include "plan_layout.h"

namespace edgeort {

class Sha512 {
 public:
  static constexpr size_t kBytes = 64;

  void update(const u8* data, size_t size);
  // Ends it: nothing can follow.
  void finish(u8 (&digest)[kBytes]);

 private:
  static constexpr size_t kBlock = 128;

  void compress(const u8* block);

  u64 state_[8] = {0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
                   0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179};
  u8 pending_[kBlock];  // the first `size_ % kBlock` bytes of a block
  u64 size_ = 0;
};

}  // namespace edgeort
