// Built with -fno-access-control: it looks into the model. The linker's --wrap puts its allocation in the place of the platform's.
#include "checked.h"

#include <sanitizer/asan_interface.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "items.h"
#include "model.h"
#include "ops.h"
#include "texts.h"

using namespace edgeort;

namespace {

struct Piece {
  void* data;
  size_t size;
  const void* owner;  // a Bump; null: pages
  Piece* next;
};

Piece* blocks;
size_t allocated;
Limits limits;
sigjmp_buf give_up;
volatile sig_atomic_t allocating, armed;

[[noreturn]] void broken(const char* promise, const Model& m, u32 node) {
  fprintf(stderr, "BROKEN: %s: node %u \"%s\" (%s)\n", promise, node, m.plan.strings + m.record(node).name, m.nodes[node].op->name);
  abort();
}

void* take(size_t size, const void* owner) {
  if (size > limits.memory_bytes || allocated > limits.memory_bytes - size) return nullptr;
  allocating = 1;
  void* data = nullptr;
  if (posix_memalign(&data, 64, size ? size : 1) != 0) abort();
  memset(data, 0, size ? size : 1);
  blocks = new Piece{data, size, owner, blocks};
  allocated += size;
  allocating = 0;
  return data;
}

template <class Match>
void release(const Match& match) {
  allocating = 1;
  for (Piece** at = &blocks; *at;) {
    Piece* block = *at;
    if (!match(*block)) {
      at = &block->next;
      continue;
    }
    *at = block->next;
    allocated -= block->size;
    free(block->data);
    delete block;
  }
  allocating = 0;
}

// What producers left, by tensor.
u64* sums;
bool* summed;

// Calls body(data, size) for the tensor's bytes, or for each row of a slice.
template <class F>
void for_rows(const Tensor& t, const F& body) {
  if (!t.pitch || !bytes(t)) return body(t.as<u8>(), bytes(t));
  const size_t row = static_cast<size_t>(t.dims[t.rank - 1]) * size_of(t.dtype);
  for (size_t i = 0; i < bytes(t) / row; ++i) body(t.as<u8>() + i * static_cast<size_t>(t.pitch) * size_of(t.dtype), row);
}

u64 sum_of(const Tensor& t) {
  u64 sum = bytes(t);
  for_rows(t, [&](const u8* data, size_t size) {
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
      u64 word;
      memcpy(&word, data + i, 8);
      sum = (sum ^ word) * 0x9E3779B97F4A7C15u;
      sum ^= sum >> 29;
    }
    for (; i < size; ++i) sum = (sum ^ data[i]) * 0x9E3779B97F4A7C15u;
  });
  return sum;
}

i32 root(const Model& m, i32 tensor) {
  while (m.tensors[tensor].view_of >= 0) tensor = m.tensors[tensor].view_of;
  return tensor;
}

void expect(const Model& m, i32 tensor, u32 node) {
  const i32 owner = root(m, tensor);
  // What a Concat or Split did not copy was made by others: its parts, or the whole that it is cut from.
  for (u32 i = 0; i < m.plan.n_tensors; ++i) {
    if (m.tensors[i].slice.root == owner && summed[i]) expect(m, static_cast<i32>(i), node);
  }
  if (const i32 whole = m.tensors[owner].slice.root; whole >= 0 && !summed[owner] && summed[whole]) expect(m, whole, node);
  if (!summed[owner]) return;
  // A view has the bytes of its owner, in another shape.
  Tensor t = m.tensors[owner].tensor;
  t.data = m.tensors[tensor].tensor.data;
  if (bytes(t) != bytes(m.tensors[tensor].tensor)) broken("a view has another size than what it shows", m, node);
  if (sum_of(t) != sums[owner]) broken("an operand changed between its producer and this reader", m, node);
}

void allow(const void* data, size_t size) {
  if (data && size) __asan_unpoison_memory_region(data, size);
}

void allow(const Tensor& t) {
  for_rows(t, [](const u8* data, size_t size) { allow(data, size); });
}

void poison_arenas(const Model& m, bool on) {
  for (u32 i = 0; i < m.n_segments; ++i) {
    const Segment& s = m.segments[i];
    if (!s.arena) continue;
    (on ? __asan_poison_memory_region : __asan_unpoison_memory_region)(s.arena, s.arena_bytes);
  }
}

void expect_inputs(const Model& m, u32 node) {
  const NodeRecord& record = m.record(node);
  for (u32 i = 0; i < record.inputs; ++i) {
    const i32 tensor = m.plan.node_inputs(record)[i];
    if (tensor >= 0 && !m.tensors[tensor].streamed) expect(m, tensor, node);
  }
}

void allow_all(const Model& m, u32 node) {
  const NodeRecord& record = m.record(node);
  for (u32 i = 0; i < u32{record.inputs} + record.outputs; ++i) {
    const i32 tensor = m.plan.node_inputs(record)[i];  // outputs follow
    if (tensor >= 0 && !m.tensors[tensor].streamed) allow(m.tensors[tensor].tensor);
  }
  const NodeState& n = m.nodes[node];
  allow(n.scratch, n.scratch_bytes);
  allow(n.thread_scratch, n.thread_bytes * static_cast<size_t>(m.pool->threads()));
}

// `node` ends a stream, or runs alone, but for its row epilogue. The nodes of its stream are those whose image exists only line by
// line, and it.
void before(const Model& m, u32 node) {
  u32 nodes[65] = {node};
  int n = 1;
  for (i32 image; n < 64 && (image = m.input(nodes[n - 1], 0)) >= 0 && m.tensors[image].streamed; ++n)
    nodes[n] = static_cast<u32>(m.tensors[image].producer);
  if (m.nodes[node].row_epilogue) nodes[n++] = m.nodes[node].row_epilogue;
  for (int i = 0; i < n; ++i) expect_inputs(m, nodes[i]);
  poison_arenas(m, true);
  for (int i = 0; i < n; ++i) allow_all(m, nodes[i]);
}

void after(const Model& m, u32 node) {
  poison_arenas(m, false);
  for (int i = 0; i < m.record(node).outputs; ++i) {
    const i32 tensor = m.output(node, i);
    if (tensor < 0) continue;
    if (root(m, tensor) != tensor) continue;
    sums[tensor] = sum_of(m.tensors[tensor].tensor);
    summed[tensor] = true;
  }
  if (m.nodes[node].row_epilogue) after(m, m.nodes[node].row_epilogue);
}

template <const OpDef* kOp>
void watched(Run& r) {
  // A body is not watched, the node that runs it is; nor is what opening a model runs for its largest inputs.
  if (r.model_.depth || !sums) return kOp->run(r);
  before(r.model_, r.node_);
  kOp->run(r);
  after(r.model_, r.node_);
}

}  // namespace

namespace edgeort {
#define X(op) extern const OpDef k##op;
OPERATORS
#undef X
namespace {
#define X(op)                                                                                  \
  const OpDef op##Watched = {k##op.name,   k##op.params_bytes, k##op.prepare, watched<&k##op>, \
                             k##op.stream, k##op.run_rows,     k##op.bodies,  k##op.grows};
OPERATORS
#undef X
}  // namespace
#define X(op) &op##Watched,
const OpDef* const kOps[] = {OPERATORS nullptr};
#undef X
}  // namespace edgeort

extern "C" {
void* __wrap__ZN7edgeort14allocate_pagesEm(size_t size) { return take(size, nullptr); }
void __wrap__ZN7edgeort10free_pagesEPvm(void* data, size_t) {
  if (data) release([=](const Piece& b) { return b.data == data; });
}
}

namespace edgeort {
void real_run_stream(Model& model, const Stream& stream) __asm__("__real__ZN7edgeort10run_streamERNS_5ModelERKNS_6StreamE");
void watched_run_stream(Model& model, const Stream& stream) __asm__("__wrap__ZN7edgeort10run_streamERNS_5ModelERKNS_6StreamE");
void watched_run_stream(Model& model, const Stream& stream) {
  if (model.depth || !sums) return real_run_stream(model, stream);
  u32 node = 0;
  while (model.nodes[node].stream != &stream) ++node;
  before(model, node);
  real_run_stream(model, stream);
  after(model, node);
}
}  // namespace edgeort

namespace edgeort {  // in the place of core/bump.cc
void* Bump::take(size_t size) { return ::take(size, this); }
void* Pages::take(size_t size) { return allocate_pages(size); }
void Pages::give(void* data) { free_pages(data, 0); }
void Pages::free() {}
void Bump::free() {
  release([this](const Piece& b) { return b.owner == this; });
}
}  // namespace edgeort

namespace {

void on_alarm(int) {
  if (!armed) return;
  if (allocating) {
    const itimerval soon = {{0, 0}, {0, 1000}};
    setitimer(ITIMER_REAL, &soon, nullptr);
    return;
  }
  siglongjmp(give_up, 1);
}

void arm(u32 ms) {
  const itimerval timer = {{0, 0}, {ms / 1000, static_cast<suseconds_t>(ms % 1000) * 1000}};
  armed = ms != 0;
  setitimer(ITIMER_REAL, &timer, nullptr);
}

// Bytes that are plausible for the element type: small integers, some out of every range; floats, some special.
void fill(void* data, size_t size, DType dtype, Random& random) {
  for (size_t i = 0; i + size_of(dtype) <= size; i += size_of(dtype)) {
    const u64 bits = random.next();
    u8* to = static_cast<u8*>(data) + i;
    const i64 small = bits % 64 == 0 ? static_cast<i64>(bits >> 5) : static_cast<i64>((bits >> 8) % 9) - 2;
    if (dtype == DType::f32 || dtype == DType::f64) {
      const f64 value = static_cast<f64>(static_cast<i64>(bits)) * 0x1p-62;
      const f32 special[] = {0.0f, -0.0f, __builtin_inff(), -__builtin_inff(), __builtin_nanf(""), 1e38f, 1e-40f, -1.0f};
      const f32 single = bits % 64 == 0 ? special[bits >> 8 & 7] : static_cast<f32>(value);
      if (dtype == DType::f32) {
        memcpy(to, &single, 4);
      } else {
        memcpy(to, &value, 8);
      }
    } else if (dtype == DType::f16 || dtype == DType::bf16) {
      const u16 half = static_cast<u16>(bits >> 20);
      memcpy(to, &half, 2);
    } else if (dtype == DType::boolean) {
      *to = bits & 1;
    } else {
      memcpy(to, &small, size_of(dtype));
    }
  }
}

// Inputs live in blocks of their exact size.
struct Buffers {
  void* data[64] = {};
  std::vector<void*> others;  // what strings and tensors among them point at
  ~Buffers() {
    for (void* p : data) free(p);
    for (void* p : others) free(p);
  }
  void* take(const void* from, size_t size) {
    others.push_back(malloc(size ? size : 1));
    if (size) memcpy(others.back(), from, size);
    return others.back();
  }
};

// Strings as a plan's constants hold them, or some of which not all are UTF-8.
void fill_texts(Text* texts, size_t n, const Input* input, Random& random, Buffers& buffers) {
  if (input && are_texts(input->data.data(), input->data.size(), n))
    return read_texts(static_cast<u8*>(buffers.take(input->data.data(), input->data.size())), n, texts);
  static const char* const some[] = {
      "", "a", "A b", "  two  words ", "monday", "\xc3\xa9t\xc3\xa9", "\xff\xc3", "\xf0\x9f\x98\x80", "a.b..c", "1.5e3"};
  for (size_t i = 0; i < n; ++i) {
    const char* text = some[random.below(sizeof(some) / sizeof(*some))];
    texts[i] = {static_cast<const char*>(buffers.take(text, strlen(text))), strlen(text)};
  }
}

// Small tensors of floats.
void fill_items(edgeort_item* items, size_t n, Random& random, Buffers& buffers) {
  for (size_t i = 0; i < n; ++i) {
    edgeort_tensor t = {"", nullptr, 0, EDGEORT_F32, static_cast<int32_t>(random.below(3)), {}};
    size_t elements = 1;
    for (int d = 0; d < t.rank; ++d) elements *= static_cast<size_t>(t.dims[d] = static_cast<i64>(random.below(4)));
    const f32 values[16] = {1, 2, 3, 4, 5};
    t.bytes = elements * sizeof(f32);
    t.data = buffers.take(values, t.bytes);
    items[i].bits = 0;
    items[i].tensor = static_cast<edgeort_tensor*>(buffers.take(&t, sizeof(t)));
  }
}

bool set_inputs(edgeort_model* model, Random& random, const std::vector<Input>& given, Buffers& buffers) {
  const int n = edgeort_input_count(model);
  if (n > 64) return false;
  for (int i = 0; i < n; ++i) {
    if (is_state(*model, model->plan.inputs[i])) continue;
    edgeort_tensor t;
    edgeort_input(model, i, &t);
    const Input* input = static_cast<size_t>(i) < given.size() ? &given[static_cast<size_t>(i)] : nullptr;
    if (input && static_cast<int>(input->dims.size()) != t.rank) input = nullptr;
    for (int d = 0; input && d < t.rank; ++d) t.dims[d] = input->dims[static_cast<size_t>(d)];
    size_t elements = 1;
    for (int d = 0; d < t.rank; ++d) {
      if (t.dims[d] < 0) t.dims[d] = 1 + static_cast<i64>(random.below(5));
      if (t.dims[d] && elements > (size_t{1} << 24) / static_cast<size_t>(t.dims[d])) return false;
      elements *= static_cast<size_t>(t.dims[d]);
    }
    const size_t size = elements * kDTypeSize[t.dtype];
    if (points(static_cast<DType>(t.dtype)) && elements > 4096) return false;
    free(buffers.data[i]);
    buffers.data[i] = nullptr;  // the alarm may come before there is another one
    t.data = buffers.data[i] = malloc(size ? size : 1);
    t.bytes = size;
    if (t.dtype == EDGEORT_STRING) {
      fill_texts(static_cast<Text*>(t.data), elements, input, random, buffers);
    } else if (t.dtype == EDGEORT_TENSOR) {
      fill_items(static_cast<edgeort_item*>(t.data), elements, random, buffers);
    } else if (input && size && input->data.size() == size) {
      memcpy(t.data, input->data.data(), size);
    } else {
      fill(t.data, size, static_cast<DType>(t.dtype), random);
    }
    if (edgeort_set_input(model, i, &t)) return false;
  }
  return true;
}

// Puts a tensor where another one lies that is read again later.
void sabotage(Model& m) {
  for (u32 i = 0; i < m.plan.n_tensors; ++i) {
    for (u32 k = 0; k < m.plan.n_tensors; ++k) {
      TensorState &a = m.tensors[i], &b = m.tensors[k];
      const bool between = a.producer >= 0 && b.producer > a.producer && b.producer < a.last_use;
      if (!between || a.view_of >= 0 || b.view_of >= 0 || b.tensor.pitch || bytes(a.tensor) < bytes(b.tensor) ||
          a.tensor.data == b.tensor.data)
        continue;
      b.tensor.data = a.tensor.data;
      return;
    }
  }
}

// Binds every input to the outputs that it may go on from.
void bind_states(edgeort_model* model, Random& random) {
  for (int i = -1; i <= edgeort_input_count(model); ++i) {
    for (int k = -1; k <= edgeort_output_count(model); ++k) {
      edgeort_bind_state(model, i, k, limits.most_rows - static_cast<i64>(random.below(static_cast<u64>(limits.most_rows) / 2 + 1)));
    }
  }
}

Outcome drive(edgeort_model* model, Random& random, const std::vector<Input>& inputs, Buffers& buffers, int runs) {
  if (limits.most_rows && set_inputs(model, random, inputs, buffers)) bind_states(model, random);
  for (int i = 0; i < runs; ++i) {
    if (!set_inputs(model, random, inputs, buffers)) return Outcome::failed;
    memset(summed, 0, model->plan.n_tensors);
    if (edgeort_prepare(model)) return Outcome::failed;
    if (limits.share_one_place) sabotage(*model);
    if (edgeort_run(model)) return Outcome::failed;
    for (int k = 0; k < edgeort_output_count(model); ++k) {
      const i32 tensor = model->plan.outputs[k];
      if (model->tensors[tensor].producer >= 0) expect(*model, tensor, static_cast<u32>(model->tensors[tensor].producer));
    }
  }
  return Outcome::ran;
}

}  // namespace

Outcome run_plan(const std::vector<uint8_t>& plan, const std::vector<Input>& given_inputs, int threads, const char* isa, uint64_t seed,
                 int runs, const Limits& given, char* error) {
  limits = given;
  signal(SIGALRM, on_alarm);
  const edgeort_options options = {threads, 0, isa};
  void* image = nullptr;
  if (posix_memalign(&image, 64, plan.size() + 1) != 0) abort();
  memcpy(image, plan.data(), plan.size());
  __asan_poison_memory_region(static_cast<uint8_t*>(image) + plan.size(), 1);
  edgeort_model* volatile model = nullptr;
  Outcome volatile outcome = Outcome::refused;
  Buffers buffers;
  Random random(seed);
  if (sigsetjmp(give_up, 1) == 0) {
    arm(limits.run_ms);
    model = edgeort_open_memory(image, plan.size(), &options, error);
    if (model) {
      sums = new u64[model->plan.n_tensors + 1];
      summed = new bool[model->plan.n_tensors + 1]();
      outcome = drive(model, random, given_inputs, buffers, runs);
      memcpy(error, edgeort_last_error(model), EDGEORT_ERROR_BYTES);
    }
  } else {
    outcome = Outcome::late;
    if (model) poison_arenas(*model, false);
  }
  arm(0);
  edgeort_close(model);
  if (outcome == Outcome::late) release([](const Piece&) { return true; });  // what a loop held on the stack that the jump left
  if (blocks) {
    fprintf(stderr, "BROKEN: %zu bytes are still allocated after edgeort_close\n", allocated);
    abort();
  }
  delete[] sums;
  delete[] summed;
  sums = nullptr;
  summed = nullptr;
  sums = nullptr;
  summed = nullptr;
  free(image);
  return outcome;
}
