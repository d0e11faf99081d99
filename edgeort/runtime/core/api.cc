// The C API over Model.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arriving.h"
#include "items.h"
#include "model.h"
#include "ops.h"

using namespace edgeort;

namespace {

const char* name_of(const Model& model, i32 tensor) { return model.plan.strings + model.plan.tensors[tensor].name; }

// The level of that name, by default the best that library and CPU share.
Status choose_isa(Model& m, const char* name) {
  const int wanted = name ? isa_from_name(name) : -1;
  int best = -1;
  bool found = false;
  for (const int* level = kBuiltIsas; *level >= 0; ++level) {
    if (!cpu_has(*level)) continue;
    best = *level;
    found |= best == wanted;
  }
  if (best < 0) return m.fail("this library needs a CPU of ISA level \"%s\"", isa_name(kBuiltIsas[0]));
  if (name && !found) return m.fail("no ISA level \"%s\" in this CPU and library; the best is \"%s\"", name, isa_name(best));
  m.isa = name ? wanted : best;
  return Status::ok;
}

// Fails unless the input may have this shape.
Status check_shape(Model& m, i32 index, const edgeort_tensor& given) {
  const TensorRecord& record = m.plan.tensors[index];
  const char* name = name_of(m, index);
  if (given.dtype != record.dtype) return m.invalid("input \"%s\" has another element type", name);
  if (given.rank != record.rank) return m.invalid("input \"%s\" has rank %d, not %d", name, record.rank, given.rank);
  u64 elements = 1;
  for (int d = 0; d < given.rank; ++d) {
    const i64 dim = given.dims[d];
    i64 least, most;
    m.plan.bounds_of(record, d, &least, &most);
    if (dim < 0) return m.invalid("input \"%s\": dimension %d is negative", name, d);
    if (dim != least && least == most) {
      return m.invalid("input \"%s\": dimension %d must be %lld, not %lld", name, d, (long long)most, (long long)dim);
    }
    if (dim < least || dim > most) {
      return m.invalid("input \"%s\": dimension %d must be %lld to %lld, not %lld", name, d, (long long)least, (long long)most,
                       (long long)dim);
    }
    if (__builtin_mul_overflow(elements, static_cast<u64>(max_of(dim, 1)), &elements) || elements > kMostElements ||
        elements > (~size_t{0} >> 2) / size_of(static_cast<DType>(record.dtype)))
      return m.invalid("input \"%s\" is too large", name);
  }
  return Status::ok;
}

// Prepares the largest inputs, if all are bounded: smaller ones then find their memory among what that took. Where the plan's limit
// forbids it, inputs that need more will be refused, and others may do.
Status reserve(Model& m) {
  bool bounded = m.plan.n_bounds > 0;
  for (u32 i = 0; i < m.plan.n_inputs; ++i) {
    const i32 index = m.plan.inputs[i];
    const TensorRecord& record = m.plan.tensors[index];
    edgeort_tensor largest = {nullptr, nullptr, 0, record.dtype, record.rank, {}};
    for (int d = 0; d < record.rank; ++d) {
      i64 least;
      m.plan.bounds_of(record, d, &least, &largest.dims[d]);
      bounded &= largest.dims[d] != kUnbounded;
    }
    if (!bounded) return Status::ok;
    EDGEORT_TRY(check_shape(m, index, largest));
    memcpy(m.tensors[index].tensor.dims, largest.dims, sizeof(largest.dims));
  }
  const FloatMode mode;
  const Status status = m.prepare();
  m.reserved_bytes = m.arena_bytes();
  m.prepared = false;
  return status == Status::limit ? Status::ok : status;
}

Status open_model(Model& m, const u8* data, size_t size, size_t here, const edgeort_options* options) {
  EDGEORT_TRY(choose_isa(m, options ? options->isa : nullptr));
  m.profile = options && options->profile;
  m.pool = &m.own_pool;
  EDGEORT_TRY(open_plan(m, data, size, here));
  const int threads = options && options->threads > 0 ? options->threads : cpu_count();
  m.own_pool.start(threads);
  return reserve(m);
}

Status set_input(Model& m, i32 index, const edgeort_tensor& given) {
  if (is_state(m, index)) return m.invalid("input \"%s\" is a state, which runs alone change", name_of(m, index));
  EDGEORT_TRY(check_shape(m, index, given));
  Tensor t = m.tensors[index].tensor;
  bool changed = false;
  for (int d = 0; d < t.rank; ++d) {
    changed |= t.dims[d] != given.dims[d];
    t.dims[d] = given.dims[d];
  }
  t.data = given.data;
  if (given.bytes && given.bytes < bytes(t))
    return m.invalid("input \"%s\" has %zu bytes; its shape needs %zu", name_of(m, index), given.bytes, bytes(t));
  if (count(t) > 0 && reinterpret_cast<uintptr_t>(t.data) % alignment_of(t.dtype))
    return m.invalid("the data of input \"%s\" is not aligned to its elements of %zu bytes", name_of(m, index), size_of(t.dtype));
  for (i64 i = 0; t.dtype == DType::tensor && t.data && i < count(t); ++i) {
    if (const char* problem = check_item(t.as<const edgeort_item>()[i].tensor))
      return m.invalid("input \"%s\": %s", name_of(m, index), problem);
  }
  m.tensors[index].tensor = t;
  if (changed) m.change(index);
  return Status::ok;
}

void describe(const Model& m, i32 index, edgeort_tensor* out) {
  const Tensor& t = m.tensors[index].tensor;
  *out = {name_of(m, index), t.data, 0, static_cast<int32_t>(t.dtype), t.rank, {}};
  bool fixed = true;
  for (int d = 0; d < t.rank; ++d) {
    out->dims[d] = t.dims[d];
    fixed &= t.dims[d] >= 0;
  }
  out->bytes = fixed ? bytes(t) : 0;
  if (t.capacity) out->bytes = static_cast<size_t>(count(t, 0, t.rank - 2) * t.capacity * t.dims[t.rank - 1]) * size_of(t.dtype);
}

edgeort_model* create(char* error) {
  // Zeroed pages are a valid empty model: every member's initial state is zero
  auto* model = static_cast<edgeort_model*>(allocate_pages(sizeof(edgeort_model)));
  if (!model && error) snprintf(error, EDGEORT_ERROR_BYTES, "out of memory");
  return model;
}

edgeort_model* finish(edgeort_model* model, Status status, char* error) {
  if (status == Status::ok) return model;
  if (error) memcpy(error, model->error, EDGEORT_ERROR_BYTES);
  edgeort_close(model);
  return nullptr;
}

}  // namespace

extern "C" {

edgeort_model* edgeort_open(const char* path, const edgeort_options* options, char* error) {
  edgeort_model* model = create(error);
  if (!model) return nullptr;
  const char* reason = nullptr;
  model->mapping = map_file(path, &reason);
  if (!model->mapping.data) return finish(model, model->fail("%s: %s", path, reason), error);
  return finish(model, open_model(*model, model->mapping.data, model->mapping.size, model->mapping.size, options), error);
}

edgeort_model* edgeort_open_memory(const void* data, size_t size, const edgeort_options* options, char* error) {
  edgeort_model* model = create(error);
  return model ? finish(model, open_model(*model, static_cast<const u8*>(data), size, size, options), error) : nullptr;
}

edgeort_model* edgeort_open_arriving(const void* data, size_t size, size_t here, const edgeort_options* options, char* error,
                                     size_t* needed) {
  *needed = 0;
  edgeort_model* model = create(error);
  if (!model) return nullptr;
  Status status = open_model(*model, static_cast<const u8*>(data), size, here, options);
  *needed = static_cast<size_t>(model->plan.wanted);
  if (status == Status::ok) status = *needed ? model->fail("the plan has not come") : begin_arriving(*model);
  return finish(model, status, error);
}

void edgeort_close(edgeort_model* model) {
  if (!model) return;
  model->own_pool.stop();
  model->close();
  free_pages(model, sizeof(edgeort_model));
}

int edgeort_input_count(const edgeort_model* model) { return static_cast<int>(model->plan.n_inputs); }
int edgeort_output_count(const edgeort_model* model) { return static_cast<int>(model->plan.n_outputs); }

int edgeort_input(const edgeort_model* model, int index, edgeort_tensor* tensor) {
  if (index < 0 || index >= edgeort_input_count(model)) return EDGEORT_INVALID_ARGUMENT;
  const i32 t = model->plan.inputs[index];
  describe(*model, t, tensor);
  // As the plan declares it, whatever was set: free dimensions stay visible.
  const TensorRecord& record = model->plan.tensors[t];
  for (int d = 0; d < record.rank; ++d) {
    const i64 dim = model->plan.dims[record.dims + static_cast<u32>(d)];
    tensor->dims[d] = dim < 0 ? -1 : dim;
    if (dim < 0) tensor->bytes = 0;
  }
  return EDGEORT_OK;
}

int edgeort_input_bounds(const edgeort_model* model, int index, int64_t* least, int64_t* most) {
  if (index < 0 || index >= edgeort_input_count(model)) return EDGEORT_INVALID_ARGUMENT;
  const TensorRecord& record = model->plan.tensors[model->plan.inputs[index]];
  for (int d = 0; d < record.rank; ++d) model->plan.bounds_of(record, d, &least[d], &most[d]);
  return EDGEORT_OK;
}

int edgeort_output(const edgeort_model* model, int index, edgeort_tensor* tensor) {
  if (index < 0 || index >= edgeort_output_count(model)) return EDGEORT_INVALID_ARGUMENT;
  const i32 t = model->plan.outputs[index];
  describe(*model, t, tensor);
  const i32 producer = model->tensors[t].producer;
  const bool inferred = producer < 0 || (model->n_segments && producer < static_cast<i32>(model->segments[model->n_segments - 1].end));
  if (!inferred) tensor->rank = -1;
  return EDGEORT_OK;
}

int edgeort_set_input(edgeort_model* model, int index, const edgeort_tensor* given) {
  const bool there = index >= 0 && index < edgeort_input_count(model);
  return model->told(there ? set_input(*model, model->plan.inputs[index], *given) : model->invalid("there is no input %d", index));
}

int edgeort_bind_state(edgeort_model* model, int input, int output, int64_t capacity) {
  return model->told(bind_state(*model, input, output, capacity));
}

int edgeort_rewind_states(edgeort_model* model, int64_t rows) { return model->told(rewind_states(*model, rows)); }

int edgeort_prepare(edgeort_model* model) {
  const FloatMode mode;
  return model->told(model->prepare());
}

int edgeort_run(edgeort_model* model) {
  const FloatMode mode;
  return model->told(model->run());
}

const char* edgeort_last_error(const edgeort_model* model) { return model->error; }

int edgeort_get_stats(const edgeort_model* model, edgeort_stats* stats) {
  const size_t arena = model->arena_bytes();
  size_t states = 0;
  for (u32 i = 0; i < model->n_states; ++i) states += static_cast<size_t>(model->states[i].bytes);
  *stats = {model->plan_bytes,
            arena > model->reserved_bytes ? arena : model->reserved_bytes,
            states,
            model->own_pool.threads(),
            static_cast<int32_t>(model->plan.n_nodes),
            isa_name(model->isa)};
  return EDGEORT_OK;
}

int edgeort_get_node(const edgeort_model* model, int index, edgeort_node* node) {
  if (index < 0 || index >= static_cast<int>(model->plan.n_nodes)) return EDGEORT_INVALID_ARGUMENT;
  const NodeState& state = model->nodes[index];
  *node = {model->plan.strings + model->plan.nodes[index].name, state.op->name, state.ns, state.skipped};
  return EDGEORT_OK;
}

int edgeort_run_of(const edgeort_model* model, int index) {
  if (index < 0 || index >= static_cast<int>(model->plan.n_nodes)) return -1;
  const NodeState& state = model->nodes[index];
  return state.skipped ? static_cast<int>(state.within) - 1 : index;
}

int edgeort_get_block(const edgeort_model* model, int index, edgeort_block* block) {
  return index >= 0 && block_of(*model, static_cast<u32>(index), block) ? EDGEORT_OK : EDGEORT_INVALID_ARGUMENT;
}

int edgeort_abi(void) { return EDGEORT_ABI; }

}  // extern "C"
