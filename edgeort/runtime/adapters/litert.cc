// LiteRT through its C API (libLiteRt), on the CPU.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adapter.h"
#include "litert_api.h"
#include "platform.h"

namespace edgeort {

using namespace litert;

// Where a tensor of a run stands. The memory is LiteRT's own, for its kernels read some bytes beyond what the tensor needs.
struct Slot {
  Buffer* buffer;
  void* data;
  size_t bytes;
};

struct Engine {
  Api api;
  Environment* environment;
  ModelFile* file;
  Options* options;
  Compiled* compiled;
  Slot* slots;       // the inputs', then the outputs'
  Buffer** buffers;  // the same, as a run takes them
};

namespace {

bool failed(Adapted* model, const char* what, Status status) {
  const Engine* e = model->engine;
  char* said = nullptr;
  if (e->compiled) e->api.CompiledModelGetErrorMessages(e->compiled, &said);
  const char* why = said && *said ? said : status == kFile || status == kFormat ? "the file cannot be read, or is no .tflite model" : "";
  model->fail("LiteRT: %s: %s%sstatus %d", what, why, *why ? ", " : "", status);
  free(said);
  if (e->compiled) e->api.CompiledModelClearErrors(e->compiled);
  return false;
}

bool bind(Adapted* model, const Settings& settings) {
  const char* const names[] = {settings.get("library", "libLiteRt.so"), nullptr};
  void* library = load_library(names);
  if (!library) {
    return model->fail("LiteRT's library (%s) is not found: take it from %s, and set EDGEORT_LIBRARIES to its folder", names[0],
                       settings.get("source", "ai-edge-litert"));
  }
  auto** slots = reinterpret_cast<void**>(&model->engine->api);
  for (size_t i = 0; i < sizeof(kFunctions) / sizeof(*kFunctions); ++i) {
    char name[64];
    snprintf(name, sizeof(name), "LiteRt%s", kFunctions[i]);
    if (!(slots[i] = find_symbol(library, name))) return model->fail("this LiteRT has no %s", name);
  }
  return true;
}

// Gives the options a part of their own, `name`, as TOML.
bool add_options(Adapted* model, const char* name, const char* toml) {
  const Engine* e = model->engine;
  const size_t size = strlen(toml) + 1;
  void* payload = malloc(size);
  if (!payload) return model->fail("out of memory");
  memcpy(payload, toml, size);
  Opaque* part = nullptr;
  if (const Status status = e->api.CreateOpaqueOptions(name, payload, free, &part)) return free(payload), failed(model, name, status);
  const Status status = e->api.AddOpaqueOptions(e->options, part);
  return !status || failed(model, name, status);
}

// Settings of its kernels for CPUs have its own names for them.
bool configure(Adapted* model, const Settings& settings) {
  Engine* e = model->engine;
  if (const Status status = e->api.CreateOptions(&e->options)) return failed(model, "no options", status);
  if (const Status status = e->api.SetOptionsHardwareAccelerators(e->options, kCpu)) return failed(model, "no CPU", status);
  if (!model->threads) model->threads = cpu_count();
  const char* mode = settings.get("kernel_mode", "delegate");
  char toml[128];
  snprintf(toml, sizeof(toml), "num_threads = %d\nkernel_mode = \"%s\"\n", model->threads, mode);
  return add_options(model, "xnnpack", toml) && add_options(model, "runtime_options_string", "error_reporter_mode = 2\n");
}

bool read_type(Adapted* model, Port* port, const TensorType& type) {
  port->rank = static_cast<int32_t>(type.rank);
  while (port->dtype < kDtypes && kElements[port->dtype] != type.element) ++port->dtype;
  if (port->dtype == kDtypes) return model->fail("\"%s\" has an element type that cannot be exchanged", port->name);
  for (int d = 0; d < port->rank; ++d) {
    if (type.dims[d] < 0) return model->fail("\"%s\" has a free dimension", port->name);
    port->dims[d] = port->least[d] = port->most[d] = type.dims[d];
  }
  return true;
}

// How an input or an output is asked for.
struct Side {
  Status (*name)(Signature*, size_t, const char**);
  Status (*tensor)(Signature*, size_t, Tensor**);
  Status (*needs)(Compiled*, size_t, size_t, Needs**);
};

bool describe(Adapted* model, const Side& ask, Signature* signature, size_t index, Port* port, Slot* slot) {
  const Engine* e = model->engine;
  const char* name = "";
  Tensor* tensor = nullptr;
  TensorType type = {};
  Needs* needs = nullptr;
  Status status = ask.name(signature, index, &name);
  snprintf(port->name, kNameBytes, "%s", name);
  if (!status) status = ask.tensor(signature, index, &tensor);
  if (!status) status = e->api.GetRankedTensorType(tensor, &type);
  if (!status) status = ask.needs(e->compiled, kSignature, index, &needs);
  if (status) return failed(model, port->name, status);
  if (!read_type(model, port, type)) return false;
  status = e->api.CreateManagedTensorBufferFromRequirements(e->environment, &type, needs, &slot->buffer);
  if (!status) status = e->api.GetTensorBufferHostMemory(slot->buffer, &slot->data);
  if (!status) status = e->api.GetTensorBufferPackedSize(slot->buffer, &slot->bytes);
  return !status || failed(model, port->name, status);
}

bool describe_all(Adapted* model) {
  Engine* e = model->engine;
  Signature* signature = nullptr;
  size_t n_inputs = 0, n_outputs = 0;
  Status status = e->api.GetModelSignature(e->file, kSignature, &signature);
  if (!status) status = e->api.GetNumSignatureInputs(signature, &n_inputs);
  if (!status) status = e->api.GetNumSignatureOutputs(signature, &n_outputs);
  if (status) return failed(model, "the model has no signature", status);
  if (!model->allocate_ports(static_cast<int>(n_inputs), static_cast<int>(n_outputs))) return false;
  e->slots = static_cast<Slot*>(calloc(n_inputs + n_outputs + 1, sizeof(Slot)));
  e->buffers = static_cast<Buffer**>(calloc(n_inputs + n_outputs + 1, sizeof(Buffer*)));
  if (!e->slots || !e->buffers) return model->fail("out of memory");
  const Side in = {e->api.GetSignatureInputName, e->api.GetSignatureInputTensorByIndex, e->api.GetCompiledModelInputBufferRequirements};
  const Side out = {e->api.GetSignatureOutputName, e->api.GetSignatureOutputTensorByIndex, e->api.GetCompiledModelOutputBufferRequirements};
  for (size_t i = 0; i < n_inputs + n_outputs; ++i) {
    const size_t index = i < n_inputs ? i : i - n_inputs;
    Port* port = i < n_inputs ? &model->inputs[index] : &model->outputs[index];
    if (!describe(model, i < n_inputs ? in : out, signature, index, port, &e->slots[i])) return false;
    e->buffers[i] = e->slots[i].buffer;
  }
  return true;
}

}  // namespace

bool open_engine(Adapted* model, const char* path, const Settings& settings, bool) {
  Engine* e = model->engine = static_cast<Engine*>(calloc(1, sizeof(Engine)));
  if (!e) return model->fail("out of memory");
  if (!bind(model, settings)) return false;
  const EnvironmentOption options[] = {{kAccelerators, kInteger, kCpu}, {kLeastSeverity, kInteger, kErrors}};
  if (const Status status = e->api.CreateEnvironment(2, options, &e->environment)) return failed(model, "it cannot start", status);
  if (const Status status = e->api.CreateModelFromFile(e->environment, path, &e->file)) return failed(model, path, status);
  if (!configure(model, settings)) return false;
  if (const Status status = e->api.CreateCompiledModel(e->environment, e->file, e->options, &e->compiled)) {
    return failed(model, "the model cannot be compiled", status);
  }
  bool whole = false;
  e->api.CompiledModelIsFullyAccelerated(e->compiled, &whole);
  snprintf(model->isa, kNameBytes, "LiteRT CPU, %s XNNPACK", whole ? "all by" : "in part by");
  return describe_all(model);
}

bool run_engine(Adapted* model) {
  Engine* e = model->engine;
  const auto n_inputs = static_cast<size_t>(model->n_inputs), n_outputs = static_cast<size_t>(model->n_outputs);
  for (size_t i = 0; i < n_inputs; ++i) memcpy(e->slots[i].data, model->inputs[i].now.data, e->slots[i].bytes);
  const Status status = e->api.RunCompiledModel(e->compiled, kSignature, n_inputs, e->buffers, n_outputs, e->buffers + n_inputs);
  if (status) return failed(model, "the run failed", status);
  for (size_t i = 0; i < n_outputs; ++i) {
    Port& port = model->outputs[i];
    const Slot& slot = e->slots[n_inputs + i];
    port.now = {port.name, slot.data, slot.bytes, port.dtype, port.rank, {}};
    memcpy(port.now.dims, port.dims, sizeof(port.dims));
  }
  return true;
}

void close_engine(Adapted* model) {
  Engine* e = model->engine;
  if (!e) return;
  for (int i = 0; e->slots && i < model->n_inputs + model->n_outputs; ++i) {
    if (e->slots[i].buffer) e->api.DestroyTensorBuffer(e->slots[i].buffer);
  }
  free(e->slots);
  free(e->buffers);
  if (e->compiled) e->api.DestroyCompiledModel(e->compiled);
  if (e->options) e->api.DestroyOptions(e->options);
  if (e->file) e->api.DestroyModel(e->file);
  if (e->environment) e->api.DestroyEnvironment(e->environment);
  free(e);
  model->engine = nullptr;
}

}  // namespace edgeort
