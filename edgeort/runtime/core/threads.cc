#include "threads.h"

namespace edgeort {
namespace {

// A worker spins for longer than the gap between two nodes, but not for a frame.
constexpr u64 kWorkerSpinNs = 50 * 1000;
// The caller spins while others finish their last tasks; only when they have lost their CPU is it worth sleeping. (It must
// in the end: a caller of real-time priority could keep a worker off the CPU that they share for ever.)
constexpr u64 kCallerSpinNs = 1000 * 1000;

template <class T>
T load(const T* p) {
  return atomic_load<__ATOMIC_ACQUIRE>(p);
}

template <class T>
void store(T* p, T value) {
  atomic_store<__ATOMIC_RELEASE>(p, value);
}

// Adds; what was there before.
u32 add(u32* p, u32 value) { return atomic_add<__ATOMIC_SEQ_CST>(p, value); }

// Spins until `ready` or for about `limit_ns`: by the clock, since a pause is 2 cycles on one core and 140 on another.
template <class Ready>
bool spin(u64 limit_ns, const Ready& ready) {
  constexpr int kChecks = 64;  // between looks at the clock
  for (u64 start = 0;;) {
    for (int i = 0; i < kChecks; ++i) {
      if (ready()) return true;
      pause();
    }
    const u64 now = now_ns();
    if (start == 0) start = now;
    if (now - start > limit_ns) return false;
  }
}

}  // namespace

void ThreadPool::start(int threads) {
  threads_ = 1;
  if (threads > kMaxThreads) threads = kMaxThreads;
  for (int i = 1; i < threads; ++i) {
    workers_[i] = {this, {nullptr}, i};
    if (!start_thread(&workers_[i].thread, worker_main, &workers_[i])) return;
    threads_ = i + 1;
  }
}

void ThreadPool::stop() {
  store(&stopping_, 1u);
  add(&wake_, 1u);
  wake_all(&wake_);
  for (int i = 1; i < threads_; ++i) join_thread(workers_[i].thread);
  threads_ = 1;
}

// Claims one task of a share of the job `epoch` and runs it; false when none is left or the job is over.
bool ThreadPool::take(u32 epoch, int share, int thread) {
  u64 ticket = load(&tickets_[share]);
  for (;;) {
    if (static_cast<u32>(ticket >> 32) != epoch) return false;
    const u32 task = static_cast<u32>(ticket);
    // These may belong to a newer job by now: then the exchange below fails.
    const u32 tasks = load(&tasks_);
    const auto call = load(&call_);
    const auto body = load(&body_);
    if (task >= first_of(share + 1, tasks)) return false;
    if (!atomic_exchange<__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE>(&tickets_[share], &ticket, ticket + 1)) continue;
    call(body, task, thread);
    // Sequential consistency, as in wait_for: either the caller sees this task done, or this thread sees the caller waiting.
    if (add(&done_, 1u) + 1 == tasks && atomic_load<__ATOMIC_SEQ_CST>(&waiting_)) wake_all(&done_);
    return true;
  }
}

// All that is left of the job `epoch`: the thread's own share, then what others have not begun.
void ThreadPool::work(u32 epoch, int thread) {
  for (int i = 0; i < threads_; ++i) {
    while (take(epoch, (thread + i) % threads_, thread)) {
    }
  }
}

void ThreadPool::worker_main(void* argument) {
  Worker& self = *static_cast<Worker*>(argument);
  ThreadPool& pool = *self.pool;
  const FloatMode mode;
  u32 seen = 0;
  for (;;) {
    u32 wake = seen;
    if (!spin(kWorkerSpinNs, [&] { return (wake = load(&pool.wake_)) != seen; })) {
      add(&pool.sleeping_, 1u);
      wait_on(&pool.wake_, seen);
      add(&pool.sleeping_, ~0u);
      continue;
    }
    seen = wake;
    if (load(&pool.stopping_)) return;
    pool.work(static_cast<u32>(load(&pool.tickets_[self.index]) >> 32), self.index);
  }
}

void ThreadPool::wait_for(u32 tasks) {
  if (spin(kCallerSpinNs, [&] { return load(&done_) == tasks; })) return;
  atomic_store<__ATOMIC_SEQ_CST>(&waiting_, 1u);
  for (u32 done; (done = atomic_load<__ATOMIC_SEQ_CST>(&done_)) != tasks;) wait_on(&done_, done);
  store(&waiting_, 0u);
}

void ThreadPool::run(i64 tasks, void (*call)(const void*, i64, int), const void* body) {
  // A job counts its tasks in 32 bits; more, which no kernel needs, are run by the caller alone.
  if (threads_ == 1 || tasks <= 1 || tasks > 0x7fffffff) {
    for (i64 task = 0; task < tasks; ++task) call(body, task, 0);
    return;
  }
  const u32 epoch = static_cast<u32>(load(&tickets_[0]) >> 32) + 1;
  // Close the old job before its fields change: no task index is below zero tasks.
  store(&tasks_, 0u);
  for (int i = 0; i < threads_; ++i) store(&tickets_[i], u64{epoch} << 32 | first_of(i, static_cast<u32>(tasks)));
  store(&done_, 0u);
  store(&call_, call);
  store(&body_, body);
  store(&tasks_, static_cast<u32>(tasks));
  add(&wake_, 1u);
  if (atomic_load<__ATOMIC_SEQ_CST>(&sleeping_)) wake_all(&wake_);
  work(epoch, 0);
  wait_for(static_cast<u32>(tasks));
}

}  // namespace edgeort
