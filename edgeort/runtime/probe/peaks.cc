#include "peaks.h"

#include <string.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "../core/op.h"
#include "../core/threads.h"
#include "loops.h"

namespace edgeort {
namespace {

constexpr int kRepeats = 3;  // of which the best counts: something else can only make a run slower

#if defined(__linux__)
struct Cpus {
  u8 mask[512];
};

long own_cpus(Cpus* cpus) { return syscall(SYS_sched_getaffinity, 0, sizeof(cpus->mask), cpus->mask); }

void hold_to(const Cpus& cpus, long bytes) { syscall(SYS_sched_setaffinity, 0, bytes, cpus.mask); }
#endif

// This thread keeps to one CPU while it lives.
class OnCpu {
 public:
  explicit OnCpu([[maybe_unused]] int cpu) {
#if defined(__linux__)
    bytes_ = cpu < 0 ? 0 : own_cpus(&before_);
    if (bytes_ <= 0 || cpu >= static_cast<int>(bytes_) * 8) return;
    Cpus only = {};
    only.mask[cpu / 8] = static_cast<u8>(1u << (cpu % 8));
    hold_to(only, bytes_);
#endif
  }
  ~OnCpu() {
#if defined(__linux__)
    if (bytes_ > 0) hold_to(before_, bytes_);
#endif
  }
  OnCpu(const OnCpu&) = delete;
  OnCpu& operator=(const OnCpu&) = delete;

 private:
#if defined(__linux__)
  Cpus before_ = {};
  long bytes_ = 0;
#endif
};

// 10^9 units a second of `job(task, amount)`, which returns its units, on so many threads at once.
template <class F>
double fastest(ThreadPool& pool, int threads, int ms, const F& job) {
  i64 amount = 1;
  u64 ns = 0;
  while (true) {  // so much that the clock's step is nothing
    const u64 start = now_ns();
    job(0, amount);
    ns = now_ns() - start;
    if (ns > 1000000) break;
    amount *= 2;
  }
  amount = max_of(1, static_cast<i64>(static_cast<double>(amount) * 1e6 * ms / kRepeats / static_cast<double>(ns)));
  double best = 0;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    double units[kMaxThreads];
    struct Work {
      const F& job;
      i64 amount;
      double* units;
    } work = {job, amount, units};
    const u64 start = now_ns();
    if (threads == 1) {
      units[0] = job(0, amount);
    } else {
      pool.run(
          threads,
          [](const void* raw, i64 task, int) {
            const Work& w = *static_cast<const Work*>(raw);
            w.units[task] = w.job(static_cast<int>(task), w.amount);
          },
          &work);
    }
    const double seconds = static_cast<double>(now_ns() - start);
    double sum = 0;
    for (int i = 0; i < threads; ++i) sum += units[i];
    if (sum / seconds > best) best = sum / seconds;
  }
  return best;
}

template <class F>
Rate rate(ThreadPool& pool, const PeakOptions& o, const F& job) {
  Rate found;
  {
    const OnCpu here(o.cpu);
    found.one = fastest(pool, 1, o.ms, job);
  }
  found.all = pool.threads() == 1 ? found.one : fastest(pool, pool.threads(), o.ms, job);
  return found;
}

ThreadPool pool;

}  // namespace

bool measure_peaks(const PeakOptions& o, Peaks* peaks) {
  const Loops* best = best_loops(&peaks->isa);
  if (!best) return false;
  const Loops& loops = *best;
  pool.start(o.threads);
  peaks->threads = pool.threads();
  peaks->float32 = rate(pool, o, [&](int, i64 amount) { return loops.float32(amount * 1000); });
  peaks->int8 = rate(pool, o, [&](int, i64 amount) { return loops.int8(amount * 1000); });
  const size_t share = o.bytes / static_cast<size_t>(pool.threads()) / kReadBytes * kReadBytes;
  auto* memory = static_cast<u8*>(allocate_pages(share * static_cast<size_t>(pool.threads())));
  if (!memory) return false;
  memset(memory, 1, share * static_cast<size_t>(pool.threads()));  // pages that are not written are all one page of zeros
  // One thread reads all of it, several read a part each.
  const auto reads = [&](int task, i64 times, size_t each) {
    float sum = 0;
    for (i64 i = 0; i < times; ++i) sum += loops.read(memory + static_cast<size_t>(task) * share, each);
    __asm__ volatile("" ::"r"(&sum) : "memory");
    return static_cast<double>(each) * static_cast<double>(times);
  };
  const size_t whole = share * static_cast<size_t>(pool.threads());
  {
    const OnCpu here(o.cpu);
    peaks->read.one = fastest(pool, 1, o.ms, [&](int, i64 n) { return reads(0, n, whole); });
  }
  peaks->read.all =
      pool.threads() == 1 ? peaks->read.one : fastest(pool, pool.threads(), o.ms, [&](int task, i64 n) { return reads(task, n, share); });
  pool.stop();
  free_pages(memory, whole);
  return true;
}

}  // namespace edgeort
