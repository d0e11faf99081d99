// Ed25519 (RFC 8032, section 5.1): only the verification, of public data and therefore not in constant time.
#pragma once
#include "plan_layout.h"

namespace edgeort {

static constexpr size_t kKeyBytes = 32;
static constexpr size_t kSignatureBytes = 64;

bool is_signed(const u8* data, size_t size, const u8* signature, const u8* public_key);

}  // namespace edgeort
