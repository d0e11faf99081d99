// A pool of worker threads that spin briefly between jobs, then sleep. A job costs no allocation and no lock.
#pragma once
#include "atomics.h"

namespace edgeort {

class ThreadPool {
 public:
  // Starts threads - 1 workers (the caller is the last one); as many as the system gives. Once in a pool's life.
  void start(int threads);
  void stop();
  int threads() const { return threads_; }
  // Calls call(body, task, thread) for each task in [0, tasks). Each thread begins with a share of neighbouring tasks, always the
  // same part of the whole: what it made in one job is in its own cache for the next. One that has no more of its own takes over
  // others'. One job at a time, and none from within a task.
  void run(i64 tasks, void (*call)(const void*, i64, int), const void* body);

 private:
  struct Worker {
    ThreadPool* pool;
    Thread thread;
    int index;
  };
  static void worker_main(void* worker);
  bool take(u32 epoch, int share, int thread);
  void work(u32 epoch, int thread);
  // The first task of a thread's share.
  u32 first_of(int share, u32 tasks) const {
    return static_cast<u32>(static_cast<u64>(tasks) * static_cast<u64>(share) / static_cast<u64>(threads_));
  }
  void wait_for(u32 tasks);

  Worker workers_[kMaxThreads];
  int threads_ = 0;  // 0 before start: all members begin as zeros
  // The job. tickets_[share] = epoch << 32 | next task: a task is claimed by moving it from (epoch, i) to (epoch, i + 1), so that
  // a worker that woke late for an old job claims nothing of a new one.
  alignas(64) u64 tickets_[kMaxThreads];
  u32 tasks_;
  void (*call_)(const void*, i64, int) = nullptr;
  const void* body_;
  alignas(64) u32 done_;  // tasks that are; the caller sleeps on it
  u32 waiting_;           // the caller does
  alignas(64) u32 wake_;  // counts jobs; workers sleep on it
  u32 sleeping_;
  u32 stopping_;
};

}  // namespace edgeort
