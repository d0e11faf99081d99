#include "threads.h"

namespace edgeort {
namespace {

// About 50 us of spinning: longer than the gap between two nodes, shorter than a frame.
constexpr int kSpins = 2000;

template <class T>
T load(const T* p) {
  return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

template <class T>
void store(T* p, T value) {
  __atomic_store_n(p, value, __ATOMIC_RELEASE);
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
  __atomic_fetch_add(&wake_, 1u, __ATOMIC_SEQ_CST);
  wake_all(&wake_);
  for (int i = 1; i < threads_; ++i) join_thread(workers_[i].thread);
  threads_ = 1;
}

// Claims one task of the job `epoch` and runs it; false when none is left or the job is over.
bool ThreadPool::take(u32 epoch, int thread) {
  u64 ticket = load(&ticket_);
  for (;;) {
    if (static_cast<u32>(ticket >> 32) != epoch) return false;
    const u32 task = static_cast<u32>(ticket);
    // These may belong to a newer job by now: then the exchange below fails.
    const u32 tasks = load(&tasks_);
    const auto call = load(&call_);
    const auto body = load(&body_);
    if (task >= tasks) return false;
    if (!__atomic_compare_exchange_n(&ticket_, &ticket, ticket + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) continue;
    call(body, task, thread);
    __atomic_fetch_add(&done_, 1u, __ATOMIC_ACQ_REL);
    return true;
  }
}

void ThreadPool::worker_main(void* argument) {
  Worker& self = *static_cast<Worker*>(argument);
  ThreadPool& pool = *self.pool;
  u32 seen = 0;
  for (;;) {
    u32 wake = load(&pool.wake_);
    for (int spin = 0; wake == seen && spin < kSpins; ++spin) {
      pause();
      wake = load(&pool.wake_);
    }
    if (wake == seen) {
      __atomic_fetch_add(&pool.sleeping_, 1u, __ATOMIC_SEQ_CST);
      wait_on(&pool.wake_, seen);
      __atomic_fetch_sub(&pool.sleeping_, 1u, __ATOMIC_SEQ_CST);
      continue;
    }
    seen = wake;
    if (load(&pool.stopping_)) return;
    const u32 epoch = static_cast<u32>(load(&pool.ticket_) >> 32);
    while (pool.take(epoch, self.index)) {
    }
  }
}

void ThreadPool::run(i64 tasks, void (*call)(const void*, i64, int), const void* body) {
  // A job counts its tasks in 32 bits; more are run as several jobs' worth by the caller alone, which no kernel needs.
  if (threads_ == 1 || tasks <= 1 || tasks > 0x7fffffff) {
    for (i64 task = 0; task < tasks; ++task) call(body, task, 0);
    return;
  }
  const u32 epoch = static_cast<u32>(ticket_ >> 32) + 1;
  // Close the old job before its fields change: no task index is below zero tasks.
  store(&tasks_, 0u);
  store(&ticket_, static_cast<u64>(epoch) << 32);
  store(&done_, 0u);
  store(&call_, call);
  store(&body_, body);
  store(&tasks_, static_cast<u32>(tasks));
  __atomic_fetch_add(&wake_, 1u, __ATOMIC_SEQ_CST);
  if (__atomic_load_n(&sleeping_, __ATOMIC_SEQ_CST)) wake_all(&wake_);
  while (take(epoch, 0)) {
  }
  while (load(&done_) != static_cast<u32>(tasks)) pause();
}

}  // namespace edgeort
