// NumPy's .npy files: C order, little endian, the runtime's element types; strings as NumPy's of a fixed size ('S'), less zeros at their
// ends. Sequences have no such form.
#pragma once
#include <stdio.h>

#include "edgeort.h"
#include "platform.h"

namespace edgeort {

// A whole file in memory, aligned to 64 bytes: `tensor` gets dtype, shape and data, which lie in it. Null, or what is wrong.
const char* parse_npy(const u8* file, size_t size, edgeort_tensor* tensor);
// Frees what parse_npy took for strings, which say where in the file each is; of other tensors there is nothing.
void release_texts(const edgeort_tensor& tensor);
// Maps the file; `tensor` gets dtype, shape and data. False: `error` says why. The mapping must outlive the tensor.
bool read_npy(const char* path, Mapping* mapping, edgeort_tensor* tensor, char error[EDGEORT_ERROR_BYTES]);
// The type of a file that holds this one.
int stored_dtype(int dtype);
bool write_npy(const char* path, const edgeort_tensor& tensor);
// The same into an open file. `head` is called with the size first.
bool write_npy(FILE* file, const edgeort_tensor& tensor, bool (*head)(FILE* file, size_t bytes) = nullptr);

}  // namespace edgeort
