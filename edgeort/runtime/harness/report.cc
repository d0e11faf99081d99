#include "report.h"

#include <stdio.h>
#include <stdlib.h>

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

int compare(const void* a, const void* b) {
  const u64 x = *static_cast<const u64*>(a), y = *static_cast<const u64*>(b);
  return x < y ? -1 : x > y;
}

// Percentiles by nearest rank.
Latency statistics(const Result& r) {
  qsort(r.run_ns, static_cast<size_t>(r.runs), sizeof(u64), compare);
  double sum = 0;
  for (int i = 0; i < r.runs; ++i) sum += static_cast<double>(r.run_ns[i]);
  const auto at = [&](int percent) { return static_cast<double>(r.run_ns[(r.runs * percent + 99) / 100 - 1]) * 1e-6; };
  return {static_cast<double>(r.run_ns[0]) * 1e-6, sum / r.runs * 1e-6, at(50), at(90), at(99)};
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

double node_ms(const edgeort_node& node, const Result& r) {
  return r.profiled_runs ? static_cast<double>(node.ns) * 1e-6 / r.profiled_runs : 0;
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
  printf(", \"weights_bytes\": %zu, \"arena_bytes\": %zu, \"peak_rss_bytes\": %zu", r->stats.weights_bytes, r->stats.arena_bytes,
         r->peak_rss_bytes);
  printf(", \"open_ms\": %.4f, \"prepare_ms\": %.4f, \"load_ms\": %.4f, \"first_run_ms\": %.4f", r->open_ms, r->prepare_ms,
         r->open_ms + r->prepare_ms, r->first_run_ms);
  if (r->runs) {
    const Latency l = statistics(*r);
    printf(", \"latency_ms\": {\"runs\": %d, \"min\": %.4f, \"mean\": %.4f, \"p50\": %.4f, \"p90\": %.4f, \"p99\": %.4f}", r->runs, l.min,
           l.mean, l.p50, l.p90, l.p99);
  }
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
      printf(", \"ms\": %.5f, \"skipped\": %s}", node_ms(node, *r), node.skipped ? "true" : "false");
    }
    printf("]");
  }
  printf("}\n");
}

void print_text(edgeort_model* model, Result* r) {
  printf("%-12s %s, %d nodes, ISA level %s, threads %d\n", "plan", r->plan, r->stats.nodes, r->stats.isa, r->stats.threads);
  printf("%-12s open %.2f ms + prepare %.2f ms = %.2f ms\n", "load", r->open_ms, r->prepare_ms, r->open_ms + r->prepare_ms);
  printf("%-12s %.3f ms\n", "first run", r->first_run_ms);
  if (r->runs) {
    const Latency l = statistics(*r);
    printf("%-12s p50 %.4f ms, p90 %.4f, p99 %.4f, min %.4f, mean %.4f (%d runs)\n", "latency", l.p50, l.p90, l.p99, l.min, l.mean,
           r->runs);
  }
  printf("%-12s weights %.1f kB, arena %.1f kB, peak RSS %.1f kB\n", "memory", static_cast<double>(r->stats.weights_bytes) / 1000,
         static_cast<double>(r->stats.arena_bytes) / 1000, static_cast<double>(r->peak_rss_bytes) / 1000);
  printf("%-12s %016llx\n", "digest", static_cast<unsigned long long>(outputs_digest(model)));
  if (r->check) printf("%-12s %s\n", "check", r->check);
  if (!r->profile) return;
  for (int i = 0; i < r->stats.nodes; ++i) {
    edgeort_node node;
    edgeort_get_node(model, i, &node);
    if (!node.skipped) printf("%10.4f ms  %-20s %s\n", node_ms(node, *r), node.op, node.name);
  }
}

}  // namespace edgeort
