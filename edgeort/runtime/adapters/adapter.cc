#include "adapter.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

using namespace edgeort;

struct edgeort_model : Adapted {};

namespace edgeort {

static constexpr char kNoName[] = "?";

bool Adapted::fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(error, sizeof(error), format, arguments);
  va_end(arguments);
  return false;
}

// A copy, or a constant where there is no memory for one: never null.
static const char* copied(const char* text) {
  const size_t size = strlen(text) + 1;
  auto* copy = static_cast<char*>(malloc(size));
  return copy ? static_cast<const char*>(memcpy(copy, text, size)) : kNoName;
}

static void release(const char* text) {
  if (text != kNoName) free(const_cast<char*>(text));
}

bool Adapted::allocate_ports(int n_in, int n_out) {
  inputs = static_cast<Port*>(calloc(static_cast<size_t>(n_in) + 1, sizeof(Port)));
  outputs = static_cast<Port*>(calloc(static_cast<size_t>(n_out) + 1, sizeof(Port)));
  if (!inputs || !outputs) return fail("out of memory");
  n_inputs = n_in;
  n_outputs = n_out;
  return true;
}

void Adapted::add_time(int index, int count, const char* name, const char* op, uint64_t ns) {
  if (!nodes) {
    nodes = static_cast<edgeort_node*>(calloc(static_cast<size_t>(count) + 1, sizeof(edgeort_node)));
    n_nodes = nodes ? count : 0;
  }
  if (index >= n_nodes) return;
  edgeort_node& node = nodes[index];
  if (!node.name) node.name = copied(name);
  if (!node.op) node.op = copied(op);
  node.ns += ns;
}

namespace {

constexpr size_t kSizes[] = {4, 1, 1, 2, 2, 4, 8, 1, 2, 8, 4, 8, 2};  // up to EDGEORT_BF16: what these engines exchange

// Bytes of a tensor of that type and shape, or false where they overflow.
bool tensor_bytes(int dtype, int rank, const int64_t* dims, size_t* bytes) {
  *bytes = kSizes[dtype];
  for (int d = 0; d < rank; ++d) {
    if (__builtin_mul_overflow(*bytes, static_cast<size_t>(dims[d]), bytes)) return false;
  }
  return true;
}

edgeort_tensor declared(const Port& port) {
  edgeort_tensor tensor = {port.name, port.now.data, 0, port.dtype, port.rank, {}};
  bool fixed = port.rank >= 0;
  for (int d = 0; d < port.rank; ++d) fixed &= (tensor.dims[d] = port.dims[d]) >= 0;
  if (fixed && !tensor_bytes(port.dtype, port.rank, port.dims, &tensor.bytes)) tensor.bytes = 0;
  return tensor;
}

bool check_shape(edgeort_model* model, const Port& port, const edgeort_tensor& given) {
  if (given.dtype != port.dtype) return model->fail("input \"%s\" has another element type", port.name);
  if (port.rank >= 0 && given.rank != port.rank) return model->fail("input \"%s\" has rank %d, not %d", port.name, port.rank, given.rank);
  if (given.rank < 0 || given.rank > EDGEORT_MAX_RANK) return model->fail("input \"%s\" has no such rank", port.name);
  for (int d = 0; d < given.rank; ++d) {
    const auto dim = static_cast<long long>(given.dims[d]);
    const bool free = port.rank < 0;
    if (dim < (free ? 0 : port.least[d]) || (!free && dim > port.most[d])) {
      return model->fail("input \"%s\": dimension %d may not be %lld", port.name, d, dim);
    }
  }
  size_t bytes;
  if (!tensor_bytes(given.dtype, given.rank, given.dims, &bytes)) return model->fail("input \"%s\" is too large", port.name);
  if (given.bytes && given.bytes < bytes) return model->fail("input \"%s\" has %zu bytes, not %zu", port.name, given.bytes, bytes);
  if (!given.data && bytes) return model->fail("input \"%s\" has no data", port.name);
  return true;
}

bool is_within(int index, int count) { return index >= 0 && index < count; }

}  // namespace
}  // namespace edgeort

edgeort_model* edgeort_open(const char* path, const edgeort_options* options, char* error) {
  auto* model = static_cast<edgeort_model*>(calloc(1, sizeof(edgeort_model)));
  if (!model) return error ? snprintf(error, EDGEORT_ERROR_BYTES, "out of memory") : 0, nullptr;
  model->threads = options && options->threads > 0 ? options->threads : 0;
  Settings settings;
  bool opened = false;
  if (options && options->isa) {
    model->fail("this engine has no ISA level to choose");
  } else if (!read_settings(path, &settings)) {
    model->fail("%s: provider.conf beside it is missing or malformed", path);
  } else {
    opened = open_engine(model, path, settings, options && options->profile);
  }
  free_settings(&settings);
  if (opened) return model;
  if (error) snprintf(error, EDGEORT_ERROR_BYTES, "%s", model->error);
  edgeort_close(model);
  return nullptr;
}

edgeort_model* edgeort_open_memory(const void*, size_t, const edgeort_options*, char* error) {
  if (error) snprintf(error, EDGEORT_ERROR_BYTES, "this engine reads its model from a file: edgeort_open");
  return nullptr;
}

void edgeort_close(edgeort_model* model) {
  if (!model) return;
  close_engine(model);
  for (int i = 0; i < model->n_nodes; ++i) {
    release(model->nodes[i].name);
    release(model->nodes[i].op);
  }
  free(model->nodes);
  free(model->inputs);
  free(model->outputs);
  free(model);
}

int edgeort_input_count(const edgeort_model* model) { return model->n_inputs; }
int edgeort_output_count(const edgeort_model* model) { return model->n_outputs; }

int edgeort_input(const edgeort_model* model, int index, edgeort_tensor* tensor) {
  if (!is_within(index, model->n_inputs)) return EDGEORT_INVALID_ARGUMENT;
  *tensor = declared(model->inputs[index]);
  return EDGEORT_OK;
}

int edgeort_input_bounds(const edgeort_model* model, int index, int64_t* least, int64_t* most) {
  if (!is_within(index, model->n_inputs)) return EDGEORT_INVALID_ARGUMENT;
  memcpy(least, model->inputs[index].least, sizeof(model->inputs[index].least));
  memcpy(most, model->inputs[index].most, sizeof(model->inputs[index].most));
  return EDGEORT_OK;
}

int edgeort_output(const edgeort_model* model, int index, edgeort_tensor* tensor) {
  if (!is_within(index, model->n_outputs)) return EDGEORT_INVALID_ARGUMENT;
  const Port& port = model->outputs[index];
  *tensor = port.now.data ? port.now : declared(port);
  if (port.now.data) tensor_bytes(tensor->dtype, tensor->rank, tensor->dims, &tensor->bytes);
  tensor->name = port.name;
  if (port.now.data && !tensor_bytes(tensor->dtype, tensor->rank, tensor->dims, &tensor->bytes)) return EDGEORT_FAILED;
  return EDGEORT_OK;
}

int edgeort_set_input(edgeort_model* model, int index, const edgeort_tensor* tensor) {
  if (!is_within(index, model->n_inputs)) return model->fail("the model has no input %d", index), EDGEORT_INVALID_ARGUMENT;
  Port& port = model->inputs[index];
  if (!check_shape(model, port, *tensor)) return EDGEORT_INVALID_ARGUMENT;
  port.now = *tensor;
  tensor_bytes(port.now.dtype, port.now.rank, port.now.dims, &port.now.bytes);
  return EDGEORT_OK;
}

int edgeort_bind_state(edgeort_model* model, int, int, int64_t) {
  model->fail("states are kept by edgeort's own runtime only, not by other engines");
  return EDGEORT_FAILED;
}

int edgeort_rewind_states(edgeort_model*, int64_t) { return EDGEORT_OK; }

int edgeort_prepare(edgeort_model* model) {
  for (int i = 0; i < model->n_inputs; ++i) {
    const Port& port = model->inputs[i];
    if (!port.now.data && !port.now.rank) return model->fail("input \"%s\" was not given", port.name), EDGEORT_INVALID_ARGUMENT;
  }
  return EDGEORT_OK;
}

int edgeort_run(edgeort_model* model) {
  if (const int wrong = edgeort_prepare(model)) return wrong;
  return run_engine(model) ? EDGEORT_OK : EDGEORT_FAILED;
}

const char* edgeort_last_error(const edgeort_model* model) { return model->error; }

int edgeort_get_stats(const edgeort_model* model, edgeort_stats* stats) {
  *stats = {0, 0, 0, model->threads, model->n_nodes, model->isa};
  return EDGEORT_OK;
}

int edgeort_get_node(const edgeort_model* model, int index, edgeort_node* node) {
  if (!is_within(index, model->n_nodes)) return EDGEORT_INVALID_ARGUMENT;
  *node = model->nodes[index];
  return EDGEORT_OK;
}

int edgeort_run_of(const edgeort_model* model, int index) { return is_within(index, model->n_nodes) ? index : -1; }
int edgeort_get_block(const edgeort_model*, int, edgeort_block*) { return EDGEORT_INVALID_ARGUMENT; }  // engines do not tell
int edgeort_abi(void) { return EDGEORT_ABI; }
