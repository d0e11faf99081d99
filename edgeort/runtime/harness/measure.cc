#include "measure.h"

#include "report.h"

namespace edgeort {
namespace {

constexpr u64 kSecond = u64{1000} * 1000 * 1000;
constexpr u64 kSampleNs = kSecond;

// Warm-up goes in blocks that are long enough for governors and caches to react.
constexpr u64 kBlockNs = kSecond / 50;
constexpr u64 kBlockRuns = 5;
constexpr u64 kWarmupNs = 2 * kSecond;
constexpr int kLeastWarmup = 3;
constexpr double kSettled = 0.02;

struct Run {
  int failed;
  u64 start, end;
};

Run run_once(edgeort_model* model) {
  Run run = {0, now_ns(), 0};
  run.failed = edgeort_run(model);
  run.end = now_ns();
  return run;
}

// Blocks of runs until the medians of two that follow each other differ by no more than kSettled, or time is up.
int settle(edgeort_model* model, Recorder* block, int* runs) {
  const u64 start = now_ns();
  double before = 0;
  for (u64 since = start;;) {
    const Run run = run_once(model);
    if (run.failed) return run.failed;
    block->add(run.end - run.start);
    ++*runs;
    if (run.end - start >= kWarmupNs && *runs >= kLeastWarmup) return 0;
    if (run.end - since < kBlockNs || block->seen() < kBlockRuns) continue;
    block->sort();
    const double median = block->percentile_ms(50);
    if (median >= before * (1 - kSettled) && median <= before * (1 + kSettled)) return 0;
    before = median;
    since = run.end;
    block->clear();
  }
}

int warm_up(edgeort_model* model, const Options& o, Recorder* block, int* runs) {
  *runs = 0;
  if (o.warmup < 0) return settle(model, block, runs);
  for (; *runs < o.warmup; ++*runs) {
    if (const int failed = edgeort_run(model)) return failed;
  }
  return 0;
}

// Looks at the machine between runs, seldom; without room for more, every second look is forgotten and the pace halves.
class Sampler {
 public:
  Sampler(Measured* m, u64 start) : m_(m), start_(start), due_(start) {}

  void look_when_due(u64 now) {
    if (now >= due_) look(now);
  }
  const Sample& look(u64 now) {
    if (m_->n_samples == Measured::kSamples) forget();
    due_ = now + pace_;
    return m_->samples[m_->n_samples++] = conditions_.sample(seconds(now));
  }
  double seconds(u64 now) const { return static_cast<double>(now - start_) * 1e-9; }

 private:
  void forget() {
    m_->n_samples /= 2;
    for (int i = 0; i < m_->n_samples; ++i) m_->samples[i] = m_->samples[2 * i];
    pace_ *= 2;
  }

  Conditions conditions_;
  Measured* m_;
  u64 start_, due_, pace_ = kSampleNs;
};

int run_timed(edgeort_model* model, const Options& o, Measured* m, Recorder* part) {
  const u64 start = now_ns(), length = static_cast<u64>(o.interval_s * 1e9), time = static_cast<u64>(o.time_s * 1e9);
  Sampler sampler(m, start);
  sampler.look(start);
  part->clear();
  for (u64 since = start;;) {
    const Run run = run_once(model);
    if (run.failed) return run.failed;
    m->times.add(run.end - run.start);
    if (length) part->add(run.end - run.start);
    const bool is_last = time ? run.end - start >= time : m->times.seen() >= static_cast<u64>(o.runs);
    if (length && (is_last || run.end - since >= length)) {
      part->sort();
      print_interval({sampler.seconds(since), sampler.seconds(run.end), *part, sampler.look(run.end)}, o.json);
      part->clear();
      since += (run.end - since) / length * length;
    }
    if (is_last) break;
    sampler.look_when_due(run.end);
  }
  sampler.look(now_ns());
  return 0;
}

size_t nodes_of(edgeort_model* model) {
  edgeort_stats stats;
  edgeort_get_stats(model, &stats);
  return static_cast<size_t>(stats.nodes);
}

bool reserve(edgeort_model* model, const Options& o, Measured* m, Recorder* part) {
  const size_t runs = o.time_s > 0 ? Recorder::kMany : (static_cast<size_t>(o.runs) + 1) & ~size_t{1};
  m->n_nodes = nodes_of(model);
  m->node_ns = static_cast<u64*>(allocate_pages(m->n_nodes * sizeof(u64)));
  return m->node_ns && m->times.reserve(runs) && part->reserve(Recorder::kMany);
}

}  // namespace

int measure(edgeort_model* model, const Options& o, Measured* m) {
  Recorder part;
  m->load = load_average();
  if (!reserve(model, o, m, &part)) return -1;
  if (const int failed = warm_up(model, o, &part, &m->warmup_runs)) return failed;
  for (size_t i = 0; i < m->n_nodes; ++i) {
    edgeort_node node;
    edgeort_get_node(model, static_cast<int>(i), &node);
    m->node_ns[i] = node.ns;
  }
  const size_t before = peak_rss_bytes();
  if (const int failed = run_timed(model, o, m, &part)) return failed;
  const size_t after = peak_rss_bytes(), own = m->times.bytes() + part.bytes();
  m->peak_rss_bytes = after > before + own ? after - own : before;
  return 0;
}

}  // namespace edgeort
