// Where an engine may keep what it compiles on the device: a folder of the user's, named after the GPU that it is for.
#pragma once
#include <stddef.h>

namespace edgeort {

// A setting of the provider with its places filled in: {cache} is the user's cache folder, {gpu} the name and the driver's version of
// NVIDIA GPU number `device`, {version} that of the engine. A value with {cache} names a folder, which is made.
// False: `error` says why it could not be.
bool fill_places(const char* value, int device, const char* version, char* out, size_t size, char* error, size_t error_size);

}  // namespace edgeort
