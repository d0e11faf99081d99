// OpenVINO through its C API.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adapter.h"
#include "openvino_api.h"

namespace edgeort {

struct Engine {
  Api api;
  Core* core;
  Compiled* compiled;
  Request* request;
  Tensor** outputs;  // of the last run, one an output
  bool profile;
};

namespace {

bool failed(Adapted* model, const char* what) {
  const char* why = model->engine->api.get_last_err_msg();
  return model->fail("OpenVINO: %s: %s", what, why && *why ? why : "no reason given");
}

bool bind(Adapted* model, const char* library_name) {
  const char* const names[] = {library_name, "libopenvino_c.so", "libopenvino_c.dylib", "openvino_c.dll", nullptr};
  void* library = load_library(names);
  if (!library)
    return model->fail("OpenVINO's C library (%s) is not found: pip install openvino, and set EDGEORT_LIBRARIES to its libs folder",
                       library_name);
  auto** slots = reinterpret_cast<void**>(&model->engine->api);
  for (size_t i = 0; i < sizeof(kFunctions) / sizeof(*kFunctions); ++i) {
    char name[64];
    snprintf(name, sizeof(name), "ov_%s", kFunctions[i]);
    if (!(slots[i] = find_symbol(library, name))) return model->fail("this OpenVINO has no %s", name);
  }
  return true;
}

bool describe_shape(Port* port, const PartialShape& shape) {
  if (shape.rank.min != shape.rank.max || shape.rank.max < 0) return port->rank = -1, true;
  if (shape.rank.max > EDGEORT_MAX_RANK) return false;
  port->rank = static_cast<int32_t>(shape.rank.max);
  for (int d = 0; d < port->rank; ++d) {
    const Dimension dim = shape.dims[d];
    port->dims[d] = dim.min == dim.max ? dim.min : -1;
    port->least[d] = dim.min;
    port->most[d] = dim.max < 0 ? INT64_MAX : dim.max;
  }
  return true;
}

bool describe(Adapted* model, Port* port, ConstPort* from) {
  const Api& api = model->engine->api;
  char* name = nullptr;
  unsigned element = 0;
  PartialShape shape = {};
  if (api.port_get_any_name(from, &name) || api.port_get_element_type(from, &element)) return failed(model, "a tensor cannot be read");
  snprintf(port->name, kNameBytes, "%s", name);
  api.free(name);
  port->dtype = 0;
  while (port->dtype < kDtypes && kElements[port->dtype] != element) ++port->dtype;
  if (port->dtype == kDtypes) return model->fail("\"%s\" has an element type that cannot be exchanged", port->name);
  if (api.port_get_partial_shape(from, &shape)) return failed(model, port->name);
  const bool good = describe_shape(port, shape);
  api.partial_shape_free(&shape);
  return good || model->fail("\"%s\" has more than %d dimensions", port->name, EDGEORT_MAX_RANK);
}

bool describe_all(Adapted* model) {
  Engine* e = model->engine;
  size_t n_inputs = 0, n_outputs = 0;
  if (e->api.compiled_model_inputs_size(e->compiled, &n_inputs)) return failed(model, "inputs");
  if (e->api.compiled_model_outputs_size(e->compiled, &n_outputs)) return failed(model, "outputs");
  if (!model->allocate_ports(static_cast<int>(n_inputs), static_cast<int>(n_outputs))) return false;
  for (size_t i = 0; i < n_inputs + n_outputs; ++i) {
    const bool is_input = i < n_inputs;
    ConstPort* from = nullptr;
    const Status status = is_input ? e->api.compiled_model_input_by_index(e->compiled, i, &from)
                                   : e->api.compiled_model_output_by_index(e->compiled, i - n_inputs, &from);
    if (status) return failed(model, "a tensor cannot be read");
    const bool good = describe(model, is_input ? &model->inputs[i] : &model->outputs[i - n_inputs], from);
    e->api.output_const_port_free(from);
    if (!good) return false;
  }
  e->outputs = static_cast<Tensor**>(calloc(n_outputs + 1, sizeof(Tensor*)));
  return e->outputs || model->fail("out of memory");
}

// Settings in capitals are OpenVINO's own properties of the device.
bool configure(Adapted* model, const char* device, const Settings& settings) {
  const Engine* e = model->engine;
  for (int i = 0; i < settings.count; ++i) {
    const char* key = settings.pairs[i].key;
    if (*key < 'A' || *key > 'Z') continue;
    if (e->api.core_set_property(e->core, device, key, settings.pairs[i].value)) return failed(model, key);
  }
  if (!model->threads) return true;
  char threads[16];
  snprintf(threads, sizeof(threads), "%d", model->threads);
  return !e->api.core_set_property(e->core, device, "INFERENCE_NUM_THREADS", threads) || failed(model, "INFERENCE_NUM_THREADS");
}

// What it says of its threads and its precision, to be told to people.
void read_back(Adapted* model, const char* device) {
  const Engine* e = model->engine;
  char *precision = nullptr, *threads = nullptr;
  e->api.compiled_model_get_property(e->compiled, "INFERENCE_PRECISION_HINT", &precision);
  e->api.compiled_model_get_property(e->compiled, "INFERENCE_NUM_THREADS", &threads);
  snprintf(model->isa, kNameBytes, "OpenVINO %s, %s", device, precision ? precision : "unknown precision");
  if (threads && !model->threads) model->threads = atoi(threads);
  if (precision) e->api.free(precision);
  if (threads) e->api.free(threads);
}

// Of the last run; what the engine fused or dropped took no time.
void add_times(Adapted* model) {
  const Engine* e = model->engine;
  NodeTimes times = {};
  if (e->api.infer_request_get_profiling_info(e->request, &times)) return;
  for (size_t i = 0; i < times.size; ++i) {
    const NodeTime& node = times.nodes[i];
    const uint64_t ns = node.status == 2 ? static_cast<uint64_t>(node.real_us) * 1000 : 0;
    model->add_time(static_cast<int>(i), static_cast<int>(times.size), node.name, node.kernel, ns);
  }
  e->api.profiling_info_list_free(&times);
}

bool set_input(Adapted* model, int index) {
  const Engine* e = model->engine;
  edgeort_tensor& now = model->inputs[index].now;
  Tensor* tensor = nullptr;
  if (e->api.tensor_create_from_host_ptr(kElements[now.dtype], {now.rank, now.dims}, now.data, &tensor))
    return failed(model, model->inputs[index].name);
  const Status status = e->api.infer_request_set_input_tensor_by_index(e->request, static_cast<size_t>(index), tensor);
  e->api.tensor_free(tensor);
  return !status || failed(model, model->inputs[index].name);
}

bool get_output(Adapted* model, int index) {
  Engine* e = model->engine;
  Port& port = model->outputs[index];
  ShapeOf shape = {};
  if (e->outputs[index]) e->api.tensor_free(e->outputs[index]);
  e->outputs[index] = nullptr;
  if (e->api.infer_request_get_output_tensor_by_index(e->request, static_cast<size_t>(index), &e->outputs[index]))
    return failed(model, port.name);
  port.now = {port.name, nullptr, 0, port.dtype, 0, {}};
  if (e->api.tensor_data(e->outputs[index], &port.now.data)) return failed(model, port.name);
  if (port.rank == 0) return true;  // of a scalar it tells no shape
  if (e->api.tensor_get_shape(e->outputs[index], &shape)) return failed(model, port.name);
  const bool fits = shape.rank <= EDGEORT_MAX_RANK;
  for (int d = 0; fits && d < shape.rank; ++d) port.now.dims[d] = shape.dims[d];
  port.now.rank = static_cast<int32_t>(shape.rank);
  e->api.shape_free(&shape);
  return fits || model->fail("\"%s\" has more than %d dimensions", port.name, EDGEORT_MAX_RANK);
}

}  // namespace

bool open_engine(Adapted* model, const char* path, const Settings& settings, bool profile) {
  Engine* e = model->engine = static_cast<Engine*>(calloc(1, sizeof(Engine)));
  if (!e) return model->fail("out of memory");
  const char* device = settings.get("device", "CPU");
  if (!bind(model, settings.get("library", "libopenvino_c.so"))) return false;
  if (e->api.core_create(&e->core)) return failed(model, "it cannot start");
  if (!configure(model, device, settings)) return false;
  if (profile && e->api.core_set_property(e->core, device, "PERF_COUNT", "YES")) return failed(model, "PERF_COUNT");
  e->profile = profile;
  ModelFile* file = nullptr;
  if (e->api.core_read_model(e->core, path, nullptr, &file)) return failed(model, path);
  const Status status = e->api.core_compile_model(e->core, file, device, 0, &e->compiled);
  e->api.model_free(file);
  if (status) return failed(model, "the model cannot be compiled");
  if (e->api.compiled_model_create_infer_request(e->compiled, &e->request)) return failed(model, "no request");
  read_back(model, device);
  return describe_all(model);
}

bool run_engine(Adapted* model) {
  Engine* e = model->engine;
  for (int i = 0; i < model->n_inputs; ++i) {
    if (!set_input(model, i)) return false;
  }
  if (e->api.infer_request_infer(e->request)) return failed(model, "the run failed");
  for (int i = 0; i < model->n_outputs; ++i) {
    if (!get_output(model, i)) return false;
  }
  if (e->profile) add_times(model);
  return true;
}

void close_engine(Adapted* model) {
  Engine* e = model->engine;
  if (!e) return;
  for (int i = 0; e->outputs && i < model->n_outputs; ++i) {
    if (e->outputs[i]) e->api.tensor_free(e->outputs[i]);
  }
  ::free(e->outputs);
  if (e->request) e->api.infer_request_free(e->request);
  if (e->compiled) e->api.compiled_model_free(e->compiled);
  if (e->core) e->api.core_free(e->core);
  ::free(e);
  model->engine = nullptr;
}

}  // namespace edgeort
