// Threads that share the lines of images, one of them slow: every line is computed once, in pieces of one image that are no longer
// than allowed, and others take over from the slow one. Usage: shares_stress SEED JOBS; the exit status says whether that held.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "shares.h"

using namespace edgeort;

namespace {

constexpr i64 kMostImages = 5, kMostHeight = 90;

u64 state;
i64 random_below(u64 n) {
  state += 0x9e3779b97f4a7c15;
  u64 x = (state ^ state >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return static_cast<i64>((x ^ x >> 31) % n);
}

void sleep_us(long us) {
  const timespec time = {0, us * 1000};
  nanosleep(&time, nullptr);
}

// The counts are not atomic: a line that two threads take is a race.
struct Job {
  Shares* shares;
  i64 height, most;
  int slow;
  bool sleeps;  // the slow thread; else it spins, and takes the next piece just when others look for one
  int times[kMostImages][kMostHeight];
  int parts[64];  // that the thread began, or took over
  bool bad[64];
};

void work(const void* raw, i64, int thread) {
  Job& job = *const_cast<Job*>(static_cast<const Job*>(raw));
  Shares::Piece before = {-1, 0, 0}, piece;
  for (; !(piece = job.shares->take(thread, job.most)).empty(); before = piece) {
    if (thread == job.slow && job.sleeps) sleep_us(100);
    for (int i = 0; i < 20 && thread == job.slow; ++i) pause();
    job.bad[thread] |= piece.first < 0 || piece.last > job.height || piece.last - piece.first > job.most;
    job.parts[thread] += !piece.follows(before);
    for (i64 y = piece.first; y < piece.last; ++y) ++job.times[piece.image][y];
  }
}

// The parts that were taken over, or -1 when a line was lost or computed twice.
i64 run_job(ThreadPool& pool) {
  static Job job;
  const i64 images = random_below(3) ? 1 : random_below(kMostImages + 1);
  const int slow = random_below(4) ? static_cast<int>(random_below(4)) : -1;
  job = {nullptr, random_below(kMostHeight + 1), 1 + random_below(8), slow, random_below(20) == 0, {}, {}, {}};
  Shares shares(pool.threads(), images, job.height, 1 + random_below(5));
  job.shares = &shares;
  pool.run(min_of(pool.threads(), shares.parts()), work, &job);
  i64 parts = 0;
  for (int thread = 0; thread < 64; ++thread) {
    if (job.bad[thread]) return printf("thread %d took a piece that is none\n", thread), -1;
    parts += job.parts[thread];
  }
  for (i64 image = 0; image < kMostImages; ++image) {
    for (i64 y = 0; y < kMostHeight; ++y) {
      const int times = job.times[image][y];
      if (times != (image < images && y < job.height)) return printf("line %lld was computed %d times\n", (long long)y, times), -1;
    }
  }
  return max_of(0, parts - shares.parts());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  state = strtoull(argv[1], nullptr, 10);
  auto& pool = *static_cast<ThreadPool*>(allocate_pages(sizeof(ThreadPool)));
  pool.start(4);
  i64 taken_over = 0;
  for (long jobs = strtol(argv[2], nullptr, 10); jobs > 0; --jobs) {
    const i64 parts = run_job(pool);
    if (parts < 0) return 1;
    taken_over += parts;
  }
  pool.stop();
  free_pages(&pool, sizeof(ThreadPool));
  return taken_over > 0 ? 0 : (printf("nobody took over a part\n"), 1);
}
