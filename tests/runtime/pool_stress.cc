// Many pools with many jobs: every task runs once, on a thread that exists, sees what the caller wrote before, and is over
// when run() returns. Usage: pool_stress SEED POOLS; the exit status says whether that held.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "threads.h"

using namespace edgeort;

namespace {

constexpr i64 kMostTasks = 300;

u64 state;
u64 random_below(u64 n) {
  state += 0x9e3779b97f4a7c15;
  u64 x = (state ^ state >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return (x ^ x >> 31) % n;
}

void sleep_us(long us) {
  const timespec time = {0, us * 1000};
  nanosleep(&time, nullptr);
}

// Nothing here is atomic: the pool alone orders the accesses.
struct Job {
  int threads;
  i64 slow;  // the task that sleeps, so that the caller does too
  u64 secret;
  u64 seen[kMostTasks];
  int runs[kMostTasks], thread[kMostTasks];
};

void task(const void* raw, i64 index, int thread) {
  Job& job = *const_cast<Job*>(static_cast<const Job*>(raw));
  if (index == job.slow) sleep_us(3000);
  ++job.runs[index];
  job.thread[index] = thread;
  job.seen[index] = job.secret + static_cast<u64>(index);
}

bool run_job(ThreadPool& pool) {
  static Job job;
  const i64 tasks = static_cast<i64>(random_below(random_below(4) ? 9 : kMostTasks));
  job = {};
  job.threads = pool.threads();
  job.slow = random_below(40) ? -1 : static_cast<i64>(random_below(4));
  job.secret = random_below(~u64{0});
  pool.run(tasks, task, &job);
  for (i64 i = 0; i < kMostTasks; ++i) {
    if (job.runs[i] != (i < tasks)) return printf("task %lld of %lld ran %d times\n", (long long)i, (long long)tasks, job.runs[i]), false;
    if (i < tasks && (job.thread[i] < 0 || job.thread[i] >= job.threads || job.seen[i] != job.secret + static_cast<u64>(i)))
      return printf("task %lld ran on thread %d with another job's data\n", (long long)i, job.thread[i]), false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  state = strtoull(argv[1], nullptr, 10);
  for (long pools = strtol(argv[2], nullptr, 10); pools > 0; --pools) {
    auto* pool = static_cast<ThreadPool*>(allocate_pages(sizeof(ThreadPool)));
    pool->start(static_cast<int>(1 + random_below(6)));
    for (u64 jobs = random_below(200); jobs > 0; --jobs) {
      if (random_below(50) == 0) sleep_us(200);  // long enough for workers to fall asleep
      if (!run_job(*pool)) return 1;
    }
    pool->stop();
    free_pages(pool, sizeof(ThreadPool));
  }
  return 0;
}
