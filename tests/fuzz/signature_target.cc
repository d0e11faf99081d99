// libFuzzer: a public key, a signature, and what it should be of. No signature of the fuzzer's is valid but those that it was given.
#include <string.h>

#include <memory>

#include "ed25519.h"

using namespace edgeort;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < kKeyBytes + kSignatureBytes) return -1;
  const std::unique_ptr<u8[]> key(new u8[kKeyBytes]), signature(new u8[kSignatureBytes]),
      message(new u8[size - kKeyBytes - kSignatureBytes]);
  memcpy(key.get(), data, kKeyBytes);
  memcpy(signature.get(), data + kKeyBytes, kSignatureBytes);
  const size_t bytes = size - kKeyBytes - kSignatureBytes;
  if (bytes) memcpy(message.get(), data + kKeyBytes + kSignatureBytes, bytes);
  static_cast<void>(is_signed(message.get(), bytes, signature.get(), key.get()));
  return 0;
}
