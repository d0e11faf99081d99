// The few functions and structs of LiteRT's C API in use, as version 2.3 of libLiteRt has them.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace edgeort::litert {

using Status = int;
struct Environment;
struct ModelFile;
struct Signature;
struct Tensor;
struct Options;
struct Opaque;
struct Compiled;
struct Needs;
struct Buffer;

struct EnvironmentOption {
  int32_t tag;
  alignas(8) int32_t type;
  alignas(8) int64_t value;
};
static_assert(sizeof(EnvironmentOption) == 24);

struct TensorType {
  int32_t element;
  uint32_t rank : 7;
  uint32_t has_strides : 1;
  int32_t dims[8];
  uint32_t strides[8];
};
static_assert(sizeof(TensorType) == 72);

// Of its enumerations.
constexpr int kCpu = 1, kInteger = 2, kErrors = 3;
constexpr Status kFile = 500, kFormat = 501;
constexpr int kAccelerators = 24, kLeastSeverity = 25;  // options of an environment
// LiteRtElementType of each edgeort_dtype up to bfloat16.
constexpr int kElements[] = {1, 3, 9, 17, 7, 2, 4, 6, 10, 11, 16, 13, 19};
constexpr int kDtypes = sizeof(kElements) / sizeof(*kElements);

constexpr size_t kSignature = 0;  // a model of ours has one

struct Api {
  Status (*CreateEnvironment)(int, const EnvironmentOption*, Environment**);
  void (*DestroyEnvironment)(Environment*);
  Status (*CreateModelFromFile)(Environment*, const char*, ModelFile**);
  void (*DestroyModel)(ModelFile*);
  Status (*GetModelSignature)(ModelFile*, size_t, Signature**);
  Status (*GetNumSignatureInputs)(Signature*, size_t*);
  Status (*GetNumSignatureOutputs)(Signature*, size_t*);
  Status (*GetSignatureInputName)(Signature*, size_t, const char**);
  Status (*GetSignatureOutputName)(Signature*, size_t, const char**);
  Status (*GetSignatureInputTensorByIndex)(Signature*, size_t, Tensor**);
  Status (*GetSignatureOutputTensorByIndex)(Signature*, size_t, Tensor**);
  Status (*GetRankedTensorType)(Tensor*, TensorType*);
  Status (*CreateOptions)(Options**);
  void (*DestroyOptions)(Options*);
  Status (*SetOptionsHardwareAccelerators)(Options*, int);
  Status (*CreateOpaqueOptions)(const char*, void*, void (*)(void*), Opaque**);
  Status (*AddOpaqueOptions)(Options*, Opaque*);
  Status (*CreateCompiledModel)(Environment*, ModelFile*, Options*, Compiled**);
  void (*DestroyCompiledModel)(Compiled*);
  Status (*CompiledModelIsFullyAccelerated)(Compiled*, bool*);
  Status (*CompiledModelGetErrorMessages)(Compiled*, char**);
  Status (*CompiledModelClearErrors)(Compiled*);
  Status (*RunCompiledModel)(Compiled*, size_t, size_t, Buffer**, size_t, Buffer**);
  Status (*GetCompiledModelInputBufferRequirements)(Compiled*, size_t, size_t, Needs**);
  Status (*GetCompiledModelOutputBufferRequirements)(Compiled*, size_t, size_t, Needs**);
  Status (*CreateManagedTensorBufferFromRequirements)(Environment*, const TensorType*, Needs*, Buffer**);
  Status (*GetTensorBufferHostMemory)(Buffer*, void**);
  Status (*GetTensorBufferPackedSize)(Buffer*, size_t*);
  void (*DestroyTensorBuffer)(Buffer*);
};

// In the order of Api.
constexpr const char* kFunctions[] = {"CreateEnvironment",
                                      "DestroyEnvironment",
                                      "CreateModelFromFile",
                                      "DestroyModel",
                                      "GetModelSignature",
                                      "GetNumSignatureInputs",
                                      "GetNumSignatureOutputs",
                                      "GetSignatureInputName",
                                      "GetSignatureOutputName",
                                      "GetSignatureInputTensorByIndex",
                                      "GetSignatureOutputTensorByIndex",
                                      "GetRankedTensorType",
                                      "CreateOptions",
                                      "DestroyOptions",
                                      "SetOptionsHardwareAccelerators",
                                      "CreateOpaqueOptions",
                                      "AddOpaqueOptions",
                                      "CreateCompiledModel",
                                      "DestroyCompiledModel",
                                      "CompiledModelIsFullyAccelerated",
                                      "CompiledModelGetErrorMessages",
                                      "CompiledModelClearErrors",
                                      "RunCompiledModel",
                                      "GetCompiledModelInputBufferRequirements",
                                      "GetCompiledModelOutputBufferRequirements",
                                      "CreateManagedTensorBufferFromRequirements",
                                      "GetTensorBufferHostMemory",
                                      "GetTensorBufferPackedSize",
                                      "DestroyTensorBuffer"};
static_assert(sizeof(kFunctions) / sizeof(*kFunctions) == sizeof(Api) / sizeof(void (*)()));

}  // namespace edgeort::litert
