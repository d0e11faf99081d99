// ONNX Runtime through its C API: tensors and runs. onnxruntime_session.cc opens the model.
#include "onnxruntime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

namespace edgeort {

using namespace ort;

namespace {

constexpr int kArenaAllocator = 1, kDefaultMemory = 0;
char nothing;  // the data of empty tensors, which may come without any

bool describe_tensor(Adapted* model, Port* port, const TensorInfo* info) {
  const Api& api = model->engine->api;
  int element = 0;
  size_t rank = 0;
  if (!ok(model, api.get_element_type(info, &element), port->name) || !ok(model, api.get_rank(info, &rank), port->name)) return false;
  port->dtype = 0;
  while (port->dtype < kDtypes && kElements[port->dtype] != element) ++port->dtype;
  if (port->dtype == kDtypes) return model->fail("\"%s\" has an element type that cannot be exchanged", port->name);
  if (rank > EDGEORT_MAX_RANK) return model->fail("\"%s\" has more than %d dimensions", port->name, EDGEORT_MAX_RANK);
  port->rank = static_cast<int32_t>(rank);
  if (!ok(model, api.get_dims(info, port->dims, rank), port->name)) return false;
  for (size_t d = 0; d < rank; ++d) {
    const bool free = port->dims[d] < 0;
    port->least[d] = free ? 0 : port->dims[d];
    port->most[d] = free ? INT64_MAX : port->dims[d];
  }
  return true;
}

bool describe(Adapted* model, size_t index, bool is_input, Allocator* allocator) {
  const Engine* e = model->engine;
  Port* port = is_input ? &model->inputs[index] : &model->outputs[index];
  char* name = nullptr;
  if (!ok(model, (is_input ? e->api.get_input_name : e->api.get_output_name)(e->session, index, allocator, &name), "names")) return false;
  const bool fits = snprintf(port->name, kNameBytes, "%s", name) < kNameBytes;
  Status* freed = e->api.allocator_free(allocator, name);
  if (!ok(model, freed, "names")) return false;
  if (!fits) return model->fail("the name \"%s\"... is longer than %d bytes", port->name, kNameBytes - 1);
  TypeInfo* type = nullptr;
  const TensorInfo* info = nullptr;
  if (!ok(model, (is_input ? e->api.get_input_type_info : e->api.get_output_type_info)(e->session, index, &type), port->name)) return false;
  bool good = ok(model, e->api.cast_to_tensor_info(type, &info), port->name);
  if (good && !info) good = model->fail("\"%s\" is not a tensor", port->name);
  good = good && describe_tensor(model, port, info);
  e->api.release_type_info(type);
  return good;
}

bool describe_all(Adapted* model) {
  Engine* e = model->engine;
  size_t n_inputs = 0, n_outputs = 0;
  Allocator* allocator = nullptr;
  if (!ok(model, e->api.get_input_count(e->session, &n_inputs), "inputs")) return false;
  if (!ok(model, e->api.get_output_count(e->session, &n_outputs), "outputs")) return false;
  if (!ok(model, e->api.get_allocator(&allocator), "memory")) return false;
  if (!model->allocate_ports(static_cast<int>(n_inputs), static_cast<int>(n_outputs))) return false;
  e->input_names = static_cast<const char**>(calloc(n_inputs + 1, sizeof(char*)));
  e->output_names = static_cast<const char**>(calloc(n_outputs + 1, sizeof(char*)));
  e->inputs = static_cast<Value**>(calloc(n_inputs + 1, sizeof(Value*)));
  e->outputs = static_cast<Value**>(calloc(n_outputs + 1, sizeof(Value*)));
  if (!e->input_names || !e->output_names || !e->inputs || !e->outputs) return model->fail("out of memory");
  for (size_t i = 0; i < n_inputs; e->input_names[i] = model->inputs[i].name, ++i) {
    if (!describe(model, i, true, allocator)) return false;
  }
  for (size_t i = 0; i < n_outputs; e->output_names[i] = model->outputs[i].name, ++i) {
    if (!describe(model, i, false, allocator)) return false;
  }
  return true;
}

// Which provider got how many nodes, to be told to people: "ONNX Runtime 1.31.1, CUDAExecutionProvider 64 nodes".
bool read_placement(Adapted* model) {
  const Engine* e = model->engine;
  int used = snprintf(model->isa, kNameBytes, "ONNX Runtime %s", e->version);
  if (!e->has_placement) return true;
  const Subgraph* const* subgraphs = nullptr;
  size_t n_subgraphs = 0;
  const char* names[kMaxProviders + 1] = {};
  size_t counts[kMaxProviders + 1] = {};
  if (!ok(model, e->placement.get_subgraphs(e->session, &subgraphs, &n_subgraphs), "placement")) return false;
  for (size_t i = 0; i < n_subgraphs; ++i) {
    const char* name = nullptr;
    const AssignedNode* const* nodes = nullptr;
    size_t n_nodes = 0;
    if (!ok(model, e->placement.get_provider(subgraphs[i], &name), "placement")) return false;
    if (!ok(model, e->placement.get_nodes(subgraphs[i], &nodes, &n_nodes), "placement")) return false;
    int at = 0;
    while (at < kMaxProviders && names[at] && strcmp(names[at], name) != 0) ++at;
    names[at] = name;
    counts[at] += n_nodes;
  }
  for (int i = 0; i <= kMaxProviders && names[i] && used < kNameBytes; ++i) {
    used += snprintf(model->isa + used, static_cast<size_t>(kNameBytes - used), ", %s %zu nodes", names[i], counts[i]);
  }
  return true;
}

bool set_input(Adapted* model, int index) {
  Engine* e = model->engine;
  Port& port = model->inputs[index];
  if (e->inputs[index]) e->api.release_value(e->inputs[index]);
  e->inputs[index] = nullptr;
  return ok(model,
            e->api.create_tensor_with_data(e->memory, port.now.data ? port.now.data : &nothing, port.now.bytes, port.now.dims,
                                           static_cast<size_t>(port.now.rank), kElements[port.now.dtype], &e->inputs[index]),
            port.name);
}

bool get_output(Adapted* model, int index) {
  const Engine* e = model->engine;
  Port& port = model->outputs[index];
  TensorInfo* info = nullptr;
  Port shape = port;
  port.now = {};
  if (!ok(model, e->api.get_tensor_info(e->outputs[index], &info), port.name)) return false;
  const bool good = describe_tensor(model, &shape, info);
  e->api.release_tensor_info(info);
  if (!good) return false;
  port.now = {port.name, nullptr, 0, shape.dtype, shape.rank, {}};
  memcpy(port.now.dims, shape.dims, sizeof(shape.dims));
  if (!ok(model, e->api.get_tensor_data(e->outputs[index], &port.now.data), port.name)) return false;
  if (!port.now.data) port.now.data = &nothing;
  return true;
}

void release_values(const Engine* e, Value** values, int count) {
  for (int i = 0; values && i < count; ++i) {
    if (values[i]) e->api.release_value(values[i]);
    values[i] = nullptr;
  }
}

}  // namespace

bool open_engine(Adapted* model, const char* path, const Settings& settings, bool) {
  Engine* e = model->engine = static_cast<Engine*>(calloc(1, sizeof(Engine)));
  if (!e) return model->fail("out of memory");
  if (!open_session(model, path, settings)) return false;
  if (!ok(model, e->api.create_cpu_memory_info(kArenaAllocator, kDefaultMemory, &e->memory), "memory")) return false;
  return describe_all(model) && read_placement(model);
}

bool run_engine(Adapted* model) {
  Engine* e = model->engine;
  release_values(e, e->outputs, model->n_outputs);
  for (int i = 0; i < model->n_outputs; ++i) model->outputs[i].now = {};
  for (int i = 0; i < model->n_inputs; ++i) {
    if (!set_input(model, i)) return false;
  }
  const auto n_inputs = static_cast<size_t>(model->n_inputs), n_outputs = static_cast<size_t>(model->n_outputs);
  Status* status = e->api.run(e->session, nullptr, e->input_names, e->inputs, n_inputs, e->output_names, n_outputs, e->outputs);
  if (!ok(model, status, "the run failed")) return false;
  for (int i = 0; i < model->n_outputs; ++i) {
    if (!get_output(model, i)) return false;
  }
  return true;
}

void close_engine(Adapted* model) {
  Engine* e = model->engine;
  if (!e) return;
  release_values(e, e->inputs, model->n_inputs);
  release_values(e, e->outputs, model->n_outputs);
  free(e->inputs);
  free(e->outputs);
  free(e->input_names);
  free(e->output_names);
  if (e->memory) e->api.release_memory_info(e->memory);
  if (e->session) e->api.release_session(e->session);
  if (e->options) e->api.release_session_options(e->options);
  if (e->env) e->api.release_env(e->env);
  free(e);
  model->engine = nullptr;
}

}  // namespace edgeort
