// The few functions of ONNX Runtime's C API in use, by their numbers in its table, which never change once published: those of
// include/onnxruntime/core/session/onnxruntime_c_api.h, API version 29.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace edgeort::ort {

constexpr uint32_t kApiVersion = 18;           // the least that is asked for
constexpr uint32_t kPlacementApiVersion = 24;  // the least that tells which provider got which node

#if defined(_WIN32)
using PathChar = wchar_t;
#else
using PathChar = char;
#endif

// All opaque. A null Status is success.
struct Status;
struct Env;
struct Session;
struct SessionOptions;
struct RunOptions;
struct Value;
struct MemoryInfo;
struct Allocator;
struct TypeInfo;
struct TensorInfo;
struct ProviderOptions;  // of CUDA and TensorRT
struct Subgraph;
struct AssignedNode;

struct ApiBase {
  const void* const* (*get_api)(uint32_t version);
  const char* (*get_version)();
};

struct Api {
  const char* (*get_error_message)(const Status*);
  Status* (*create_env)(int severity, const char* name, Env**);
  Status* (*disable_telemetry_events)(const Env*);
  Status* (*create_session)(const Env*, const PathChar*, const SessionOptions*, Session**);
  Status* (*run)(Session*, const RunOptions*, const char* const* input_names, const Value* const* inputs, size_t n_inputs,
                 const char* const* output_names, size_t n_outputs, Value** outputs);
  Status* (*create_session_options)(SessionOptions**);
  Status* (*disable_mem_pattern)(SessionOptions*);
  Status* (*set_intra_op_num_threads)(SessionOptions*, int);
  Status* (*get_input_count)(const Session*, size_t*);
  Status* (*get_output_count)(const Session*, size_t*);
  Status* (*get_input_type_info)(const Session*, size_t, TypeInfo**);
  Status* (*get_output_type_info)(const Session*, size_t, TypeInfo**);
  Status* (*get_input_name)(const Session*, size_t, Allocator*, char**);
  Status* (*get_output_name)(const Session*, size_t, Allocator*, char**);
  Status* (*create_tensor_with_data)(const MemoryInfo*, void*, size_t bytes, const int64_t* dims, size_t rank, int element, Value**);
  Status* (*get_tensor_data)(Value*, void**);
  Status* (*cast_to_tensor_info)(const TypeInfo*, const TensorInfo**);
  Status* (*get_element_type)(const TensorInfo*, int*);
  Status* (*get_rank)(const TensorInfo*, size_t*);
  Status* (*get_dims)(const TensorInfo*, int64_t*, size_t);
  Status* (*get_tensor_info)(const Value*, TensorInfo**);
  Status* (*create_cpu_memory_info)(int allocator_type, int memory_type, MemoryInfo**);
  Status* (*allocator_free)(Allocator*, void*);
  Status* (*get_allocator)(Allocator**);
  void (*release_env)(Env*);
  void (*release_status)(Status*);
  void (*release_memory_info)(MemoryInfo*);
  void (*release_session)(Session*);
  void (*release_value)(Value*);
  void (*release_type_info)(TypeInfo*);
  void (*release_tensor_info)(TensorInfo*);
  void (*release_session_options)(SessionOptions*);
  Status* (*add_config_entry)(SessionOptions*, const char* key, const char* value);
  Status* (*append_tensorrt)(SessionOptions*, const ProviderOptions*);
  Status* (*create_tensorrt_options)(ProviderOptions**);
  Status* (*update_tensorrt_options)(ProviderOptions*, const char* const* keys, const char* const* values, size_t);
  void (*release_tensorrt_options)(ProviderOptions*);
  Status* (*append_cuda)(SessionOptions*, const ProviderOptions*);
  Status* (*create_cuda_options)(ProviderOptions**);
  Status* (*update_cuda_options)(ProviderOptions*, const char* const* keys, const char* const* values, size_t);
  void (*release_cuda_options)(ProviderOptions*);
  Status* (*append)(SessionOptions*, const char* provider, const char* const* keys, const char* const* values, size_t);
};

// In the order of Api.
constexpr int kSlots[] = {2,  3,  6,  7,  9,  10, 17, 24, 30, 31, 33,  34,  36,  37,  49,  51,  55,  60,  61,  62,  65,
                          69, 76, 78, 92, 93, 94, 95, 96, 98, 99, 100, 130, 170, 171, 172, 174, 204, 205, 206, 208, 216};
static_assert(sizeof(kSlots) / sizeof(*kSlots) == sizeof(Api) / sizeof(void (*)()));

struct PlacementApi {
  Status* (*get_subgraphs)(const Session*, const Subgraph* const**, size_t*);
  Status* (*get_provider)(const Subgraph*, const char**);
  Status* (*get_nodes)(const Subgraph*, const AssignedNode* const**, size_t*);
};

constexpr int kPlacementSlots[] = {407, 408, 409};
static_assert(sizeof(kPlacementSlots) / sizeof(*kPlacementSlots) == sizeof(PlacementApi) / sizeof(void (*)()));

// ONNXTensorElementDataType of each edgeort_dtype up to bfloat16.
constexpr int kElements[] = {1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 16};
constexpr int kDtypes = sizeof(kElements) / sizeof(*kElements);

}  // namespace edgeort::ort
