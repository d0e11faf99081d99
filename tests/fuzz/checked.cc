// Built with -fno-access-control: it looks into the model.
#include "checked.h"

#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "allocations.h"
#include "filling.h"
#include "watching.h"

using namespace edgeort;

namespace {

Limits limits;
sigjmp_buf give_up;
volatile sig_atomic_t armed;
pthread_t runner;  // which the alarm is for: libFuzzer has a thread of its own

void on_alarm(int) {
  if (!armed) return;
  if (!pthread_equal(pthread_self(), runner)) {
    pthread_kill(runner, SIGPROF);
    return;
  }
  if (allocating) {
    const itimerval soon = {{0, 0}, {0, 1000}};
    setitimer(ITIMER_PROF, &soon, nullptr);
    return;
  }
  siglongjmp(give_up, 1);
}

// Of the processor's time: what a busy machine takes is not the plan's.
void arm(u32 ms) {
  const itimerval timer = {{0, 0}, {ms / 1000, static_cast<suseconds_t>(ms % 1000) * 1000}};
  armed = ms != 0;
  setitimer(ITIMER_PROF, &timer, nullptr);
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

// Moves results that lie over what their streams read, but not where it lies, a line towards that; false where there is none.
bool shorten(Model& m) {
  bool found = false;
  for (u32 i = 0; i < m.plan.n_tensors; ++i) {
    Tensor& t = m.tensors[i].tensor;
    if (m.tensors[i].home < 0 || t.rank != 4) continue;
    const Storage& s = m.segments[0].storages[m.tensors[i].home];
    if (s.over < 0 || !m.nodes[m.tensors[i].producer].stream) continue;
    const i64 line = count(t, 2, 4) * static_cast<i64>(size_of(t.dtype));
    const Storage& over = m.segments[0].storages[s.over];
    const bool backwards = m.nodes[m.tensors[i].producer].backwards;
    if (!backwards && s.at == over.at) continue;
    t.data = t.as<u8>() + (backwards ? -line : line);
    found = true;
  }
  return found;
}

// Binds every input to the outputs that it may go on from.
void bind_states(edgeort_model* model, Random& random) {
  for (int i = -1; i <= edgeort_input_count(model); ++i) {
    for (int k = -1; k <= edgeort_output_count(model); ++k) {
      edgeort_bind_state(model, i, k, limits.most_rows - static_cast<i64>(random.below(static_cast<u64>(limits.most_rows) / 2 + 1)));
    }
  }
}

// Without being left half way.
bool fill_inputs(edgeort_model* model, Random& random, const std::vector<Input>& given, Buffers& buffers) {
  ++allocating;
  const bool good = set_inputs(model, random, given, buffers);
  --allocating;
  return good;
}

Outcome drive(edgeort_model* model, Random& random, const std::vector<Input>& inputs, Buffers& buffers, int runs) {
  if (limits.most_rows && fill_inputs(model, random, inputs, buffers)) bind_states(model, random);
  for (int i = 0; i < runs; ++i) {
    if (!fill_inputs(model, random, inputs, buffers)) return Outcome::failed;
    memset(summed, 0, model->plan.n_tensors);
    if (edgeort_prepare(model)) return Outcome::failed;
    if (limits.bug == Bug::share_one_place) sabotage(*model);
    if (limits.bug == Bug::one_line_short && !shorten(*model)) return Outcome::failed;
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
  most_bytes = given.memory_bytes;
  runner = pthread_self();
  signal(SIGPROF, on_alarm);
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
      ++allocating;
      sums = new u64[model->plan.n_tensors + 1];
      summed = new bool[model->plan.n_tensors + 1]();
      --allocating;
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
  free(image);
  return outcome;
}
