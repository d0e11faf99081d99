#include "report.h"

#include <stdio.h>

#include "data.h"

namespace edgeort {
namespace {

constexpr const char* kNames[] = {"float32",        "uint8",      "int8",           "uint16",     "int16",      "int32",    "int64",
                                  "bool",           "float16",    "float64",        "uint32",     "uint64",     "bfloat16", "float8e4m3fn",
                                  "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "float8e8m0", "float4e2m1", "int4",     "uint4",
                                  "int2",           "uint2",      "string",         "tensor"};
static_assert(sizeof(kNames) / sizeof(*kNames) == EDGEORT_TENSOR + 1);

struct Latency {
  double min, mean, p50, p90, p99;
};

Latency statistics(Recorder* times) {
  double sum = 0;
  for (size_t i = 0; i < times->size(); ++i) sum += times->ms(i);
  times->sort();
  const auto at = [&](int percent) { return times->percentile_ms(percent); };
  return {times->ms(0), sum / static_cast<double>(times->size()), at(50), at(90), at(99)};
}

void print_string(const char* text) {
  putchar('"');
  for (; *text; ++text) {
    const auto c = static_cast<unsigned char>(*text);
    if (c == '"' || c == '\\') {
      printf("\\%c", c);
    } else if (c < 32) {
      printf("\\u%04x", c);
    } else {
      putchar(c);
    }
  }
  putchar('"');
}

void print_outputs(edgeort_model* model) {
  for (int i = 0; i < edgeort_output_count(model); ++i) {
    edgeort_tensor t;
    edgeort_output(model, i, &t);
    printf("%s{\"name\": ", i ? ", " : "");
    print_string(t.name);
    printf(", \"dtype\": \"%s\", \"shape\": [", kNames[t.dtype]);
    for (int d = 0; d < t.rank; ++d) printf("%s%lld", d ? ", " : "", static_cast<long long>(t.dims[d]));
    printf("], \"digest\": \"%016llx\"}", static_cast<unsigned long long>(digest(t)));
  }
}

// How the arena is laid out.
void print_memory(const edgeort_model* model) {
  constexpr const char* kKinds[] = {"tensor", "scratch", "threads", "body"};
  static_assert(sizeof(kKinds) / sizeof(*kKinds) == EDGEORT_BLOCK_BODY + 1);
  edgeort_block block;
  const char* between = "";
  printf(", \"memory\": [");
  for (int i = 0; edgeort_get_block(model, i, &block) == 0; ++i) {
    if (!block.bytes) continue;
    printf("%s{\"name\": ", between);
    print_string(block.name);
    printf(", \"kind\": \"%s\", \"tensors\": %d, \"offset\": %zu, \"bytes\": %zu, \"first\": %d, \"last\": %d}", kKinds[block.kind],
           block.tensors, block.offset, block.bytes, block.first, block.last);
    between = ", ";
  }
  printf("]");
}

// The mean of the timed runs.
double node_ms(const edgeort_node& node, int index, const Measured& m) {
  const u64 before = static_cast<size_t>(index) < m.n_nodes ? m.node_ns[index] : 0;
  return m.times.seen() ? static_cast<double>(node.ns - before) * 1e-6 / static_cast<double>(m.times.seen()) : 0;
}

// null where it is not known.
void print_number(const char* name, double value, bool known) {
  known ? printf("\"%s\": %.1f", name, value) : printf("\"%s\": null", name);
}

void print_conditions(const Sample& s) {
  print_number("mhz", s.mhz, s.mhz >= 0);
  printf(", \"governor\": ");
  s.governor[0] ? print_string(s.governor) : static_cast<void>(printf("null"));
  printf(", ");
  print_number("temperature_c", s.temperature_c, s.temperature_c == s.temperature_c);
}

void print_measured(Measured* m) {
  printf(", \"warmup_runs\": %d, \"every\": %llu, \"latencies_ms\": [", m->warmup_runs, static_cast<unsigned long long>(m->times.every()));
  for (size_t i = 0; i < m->times.size(); ++i) printf("%s%.6f", i ? ", " : "", m->times.ms(i));
  const auto runs = static_cast<unsigned long long>(m->times.seen());
  const Latency l = statistics(&m->times);
  printf("], \"latency_ms\": {\"runs\": %llu, \"min\": %.6f, \"mean\": %.6f, \"p50\": %.6f, ", runs, l.min, l.mean, l.p50);
  printf("\"p90\": %.6f, \"p99\": %.6f}", l.p90, l.p99);
  printf(", ");
  print_number("load", m->load, m->load >= 0);
  printf(", \"samples\": [");
  for (int i = 0; i < m->n_samples; ++i) {
    printf("%s{\"at_s\": %.3f, ", i ? ", " : "", m->samples[i].at_s);
    print_conditions(m->samples[i]);
    printf("}");
  }
  printf("]");
}

void print_cores(const Cores& cores) {
  if (!cores.count()) return static_cast<void>(printf(", \"cores\": null"));
  printf(", \"cores\": [");
  for (int cpu = 0, n = 0; cpu < kMaxCpus; ++cpu) {
    if (cores.has(cpu)) printf("%s%d", n++ ? ", " : "", cpu);
  }
  printf("]");
}

}  // namespace

u64 outputs_digest(edgeort_model* model) {
  u64 all = 0;
  for (int i = 0; i < edgeort_output_count(model); ++i) {
    edgeort_tensor t;
    edgeort_output(model, i, &t);
    all = mix(all ^ digest(t));
  }
  return all;
}

void print_json(edgeort_model* model, Result* r) {
  printf("{\"plan\": ");
  print_string(r->plan);
  printf(", \"isa\": \"%s\", \"threads\": %d, \"nodes\": %d", r->stats.isa, r->stats.threads, r->stats.nodes);
  printf(", \"weights_bytes\": %zu, \"arena_bytes\": %zu, \"states_bytes\": %zu, \"peak_rss_bytes\": %zu", r->stats.weights_bytes,
         r->stats.arena_bytes, r->stats.states_bytes, r->measured.peak_rss_bytes);
  print_cores(r->cores);
  printf(", \"open_ms\": %.4f, \"prepare_ms\": %.4f, \"load_ms\": %.4f, \"first_run_ms\": %.4f", r->open_ms, r->prepare_ms,
         r->open_ms + r->prepare_ms, r->first_run_ms);
  if (r->measured.times.size()) print_measured(&r->measured);
  printf(", \"digest\": \"%016llx\", \"outputs\": [", static_cast<unsigned long long>(outputs_digest(model)));
  print_outputs(model);
  printf("]");
  if (r->check) {
    printf(", \"check\": \"%s\"", r->check);
    if (r->difference) {
      printf(", \"difference\": ");
      print_string(r->difference);
    }
  }
  if (r->profile) {
    printf(", \"profile\": [");
    for (int i = 0; i < r->stats.nodes; ++i) {
      edgeort_node node;
      edgeort_get_node(model, i, &node);
      printf("%s{\"name\": ", i ? ", " : "");
      print_string(node.name);
      printf(", \"op\": ");
      print_string(node.op);
      printf(", \"ms\": %.6f, \"skipped\": %s, \"run_of\": %d}", node_ms(node, i, r->measured), node.skipped ? "true" : "false",
             edgeort_run_of(model, i));
    }
    printf("]");
    print_memory(model);
  }
  printf("}\n");
}

void print_interval(const Interval& i, bool json) {
  const auto runs = static_cast<unsigned long long>(i.times.seen());
  const double p25 = i.times.percentile_ms(25), p50 = i.times.percentile_ms(50), p75 = i.times.percentile_ms(75);
  if (json) {
    printf("{\"interval\": {\"start_s\": %.3f, \"end_s\": %.3f, \"runs\": %llu, ", i.start_s, i.end_s, runs);
    printf("\"p25_ms\": %.6f, \"p50_ms\": %.6f, \"p75_ms\": %.6f, ", p25, p50, p75);
    print_conditions(i.sample);
    printf("}}\n");
  } else {
    printf("%8.1f s  p50 %.4f ms, p25 %.4f, p75 %.4f (%llu runs)\n", i.end_s, p50, p25, p75, runs);
  }
  fflush(stdout);
}

void print_text(edgeort_model* model, Result* r) {
  printf("%-12s %s, %d nodes, ISA level %s, threads %d\n", "plan", r->plan, r->stats.nodes, r->stats.isa, r->stats.threads);
  printf("%-12s open %.2f ms + prepare %.2f ms = %.2f ms\n", "load", r->open_ms, r->prepare_ms, r->open_ms + r->prepare_ms);
  printf("%-12s %.3f ms\n", "first run", r->first_run_ms);
  if (r->measured.times.size()) {
    const u64 runs = r->measured.times.seen();
    const Latency l = statistics(&r->measured.times);
    printf("%-12s p50 %.4f ms, p90 %.4f, p99 %.4f, min %.4f, mean %.4f (%llu runs after %d)\n", "latency", l.p50, l.p90, l.p99, l.min,
           l.mean, static_cast<unsigned long long>(runs), r->measured.warmup_runs);
  }
  printf("%-12s weights %.1f kB, arena %.1f kB, peak RSS %.1f kB\n", "memory", static_cast<double>(r->stats.weights_bytes) / 1000,
         static_cast<double>(r->stats.arena_bytes) / 1000, static_cast<double>(r->measured.peak_rss_bytes) / 1000);
  printf("%-12s %016llx\n", "digest", static_cast<unsigned long long>(outputs_digest(model)));
  if (r->check) printf("%-12s %s\n", "check", r->check);
  if (!r->profile) return;
  for (int i = 0; i < r->stats.nodes; ++i) {
    edgeort_node node;
    edgeort_get_node(model, i, &node);
    if (!node.skipped) printf("%10.4f ms  %-20s %s\n", node_ms(node, i, r->measured), node.op, node.name);
  }
}

}  // namespace edgeort
