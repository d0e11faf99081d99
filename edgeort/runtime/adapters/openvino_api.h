// The few functions of OpenVINO's C API (openvino_c) that are called, as its documentation has them.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace edgeort {
namespace {

using Status = int;
struct Core;
struct ModelFile;
struct Compiled;
struct Request;
struct Tensor;
struct ConstPort;

struct Dimension {
  int64_t min, max;  // max -1: none
};
struct PartialShape {
  Dimension rank;
  Dimension* dims;
};
struct NodeTime {
  int status;  // 2: it ran
  int64_t real_us, cpu_us;
  const char *name, *kernel, *op;
};
struct NodeTimes {
  NodeTime* nodes;
  size_t size;
};
struct ShapeOf {
  int64_t rank;
  int64_t* dims;
};

// ov_element_type_e of each edgeort_dtype up to bfloat16.
constexpr unsigned kElements[] = {4, 16, 7, 17, 8, 9, 10, 1, 3, 5, 18, 19, 2};
constexpr int kDtypes = sizeof(kElements) / sizeof(*kElements);

struct Api {
  Status (*core_create)(Core**);
  void (*core_free)(Core*);
  Status (*core_set_property)(const Core*, const char*, ...);
  Status (*core_read_model)(const Core*, const char*, const char*, ModelFile**);
  void (*model_free)(ModelFile*);
  Status (*core_compile_model)(const Core*, const ModelFile*, const char*, size_t, Compiled**, ...);
  void (*compiled_model_free)(Compiled*);
  Status (*compiled_model_inputs_size)(const Compiled*, size_t*);
  Status (*compiled_model_outputs_size)(const Compiled*, size_t*);
  Status (*compiled_model_input_by_index)(const Compiled*, size_t, ConstPort**);
  Status (*compiled_model_output_by_index)(const Compiled*, size_t, ConstPort**);
  Status (*compiled_model_get_property)(const Compiled*, const char*, char**);
  Status (*compiled_model_create_infer_request)(const Compiled*, Request**);
  void (*output_const_port_free)(ConstPort*);
  Status (*port_get_any_name)(const ConstPort*, char**);
  Status (*port_get_element_type)(const ConstPort*, unsigned*);
  Status (*port_get_partial_shape)(const ConstPort*, PartialShape*);
  void (*partial_shape_free)(PartialShape*);
  Status (*infer_request_set_input_tensor_by_index)(Request*, size_t, const Tensor*);
  Status (*infer_request_get_output_tensor_by_index)(const Request*, size_t, Tensor**);
  Status (*infer_request_infer)(Request*);
  Status (*infer_request_get_profiling_info)(const Request*, NodeTimes*);
  void (*profiling_info_list_free)(NodeTimes*);
  void (*infer_request_free)(Request*);
  Status (*tensor_create_from_host_ptr)(unsigned, ShapeOf, void*, Tensor**);
  Status (*tensor_get_shape)(const Tensor*, ShapeOf*);
  Status (*shape_free)(ShapeOf*);
  Status (*tensor_data)(const Tensor*, void**);
  void (*tensor_free)(Tensor*);
  void (*free)(const char*);
  const char* (*get_last_err_msg)();
};

// In the order of Api.
constexpr const char* kFunctions[] = {"core_create",
                                      "core_free",
                                      "core_set_property",
                                      "core_read_model",
                                      "model_free",
                                      "core_compile_model",
                                      "compiled_model_free",
                                      "compiled_model_inputs_size",
                                      "compiled_model_outputs_size",
                                      "compiled_model_input_by_index",
                                      "compiled_model_output_by_index",
                                      "compiled_model_get_property",
                                      "compiled_model_create_infer_request",
                                      "output_const_port_free",
                                      "port_get_any_name",
                                      "port_get_element_type",
                                      "port_get_partial_shape",
                                      "partial_shape_free",
                                      "infer_request_set_input_tensor_by_index",
                                      "infer_request_get_output_tensor_by_index",
                                      "infer_request_infer",
                                      "infer_request_get_profiling_info",
                                      "profiling_info_list_free",
                                      "infer_request_free",
                                      "tensor_create_from_host_ptr",
                                      "tensor_get_shape",
                                      "shape_free",
                                      "tensor_data",
                                      "tensor_free",
                                      "free",
                                      "get_last_err_msg"};
static_assert(sizeof(kFunctions) / sizeof(*kFunctions) == sizeof(Api) / sizeof(void (*)()));

}  // namespace
}  // namespace edgeort
