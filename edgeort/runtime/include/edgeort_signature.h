/* edgeort_signature: opens plans that you signed, and no others. C99; in the library of bundles built with --signatures.
 *
 *   static const uint8_t key[EDGEORT_KEY_BYTES] = {...};   // `edgeort sign` prints it
 *   char error[EDGEORT_ERROR_BYTES];
 *   edgeort_model* model = edgeort_open_signed("model.plan", key, NULL, error);
 *
 * A signature is Ed25519 (RFC 8032) of all bytes of a file; `edgeort sign` and `openssl pkeyutl -sign -rawin` make the same.
 */
#ifndef EDGEORT_SIGNATURE_H
#define EDGEORT_SIGNATURE_H

#include "edgeort.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EDGEORT_KEY_BYTES 32
#define EDGEORT_SIGNATURE_BYTES 64

/* 0 if the owner of public_key[EDGEORT_KEY_BYTES] signed the bytes with signature[EDGEORT_SIGNATURE_BYTES], else 1. */
EDGEORT_API int edgeort_verify(const void* data, size_t size, const uint8_t* signature, const uint8_t* public_key);
/* edgeort_open of a plan whose signature is in the file PATH.sig. The bytes that are verified are those that are mapped and used:
 * as with edgeort_open, nobody else may be able to write to the file while the model is open. */
EDGEORT_API edgeort_model* edgeort_open_signed(const char* path, const uint8_t* public_key, const edgeort_options* options, char* error);

#ifdef __cplusplus
}
#endif
#endif
