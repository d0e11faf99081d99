// edgeort_bench: load a plan, run it, measure it, check its outputs.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cores.h"
#include "data.h"
#include "measure.h"
#include "noise.h"
#include "npy.h"
#include "options.h"
#include "report.h"
#include "stream.h"

using namespace edgeort;

namespace {

constexpr int kPathBytes = 4096;

int fail(const char* what) {
  fprintf(stderr, "edgeort_bench: %s\n", what);
  return 2;
}

// What edgeort_prepare or edgeort_run answered.
int fail(const edgeort_model* model, int failed) {
  fail(edgeort_last_error(model));
  return failed == EDGEORT_OVER_RAM_LIMIT ? 3 : 2;
}

double ms_since(u64 start) { return static_cast<double>(now_ns() - start) * 1e-6; }

bool file_path(char* out, const char* folder, const char* kind, int index) {
  return snprintf(out, kPathBytes, "%s/%s%d.npy", folder, kind, index) < kPathBytes;
}

bool exists(const char* path) {
  FILE* file = fopen(path, "rb");
  if (file) fclose(file);
  return file != nullptr;
}

bool is_of(const Shape& s, const char* name) { return strlen(name) == s.name_length && strncmp(name, s.name, s.name_length) == 0; }

// Whether every --shape is of an input that there is.
bool know_shapes(edgeort_model* model, const Options& o, char* error) {
  for (int i = 0; i < o.n_shapes; ++i) {
    const Shape& s = o.shapes[i];
    bool found = false;
    for (int k = 0; k < edgeort_input_count(model); ++k) {
      edgeort_tensor t;
      edgeort_input(model, k, &t);
      found |= is_of(s, t.name);
    }
    const int length = static_cast<int>(s.name_length);
    if (!found) return snprintf(error, EDGEORT_ERROR_BYTES, "the model has no input \"%.*s\"", length, s.name), false;
  }
  return true;
}

// The input's own shape, with what --shape says; dimensions that are free still are as large as they may be, or 1.
bool choose_shape(const edgeort_model* model, const Options& o, int index, edgeort_tensor* t, char* error) {
  for (int i = 0; i < o.n_shapes; ++i) {
    const Shape& s = o.shapes[i];
    if (!is_of(s, t->name)) continue;
    if (s.rank != t->rank) return snprintf(error, EDGEORT_ERROR_BYTES, "input \"%s\" has rank %d, not %d", t->name, t->rank, s.rank), false;
    memcpy(t->dims, s.dims, sizeof(s.dims));
  }
  int64_t least[EDGEORT_MAX_RANK], most[EDGEORT_MAX_RANK];
  edgeort_input_bounds(model, index, least, most);
  for (int d = 0; d < t->rank; ++d) {
    if (t->dims[d] < 0) t->dims[d] = t->dtype == EDGEORT_TENSOR ? 0 : most[d] == INT64_MAX ? 1 : most[d];
  }
  return true;
}

bool make_input(const edgeort_model* model, const Options& o, int index, edgeort_tensor* t, char* error) {
  if (!choose_shape(model, o, index, t, error)) return false;
  if (t->dtype == EDGEORT_TENSOR && element_count(*t))
    return snprintf(error, EDGEORT_ERROR_BYTES, "input \"%s\" is a sequence: there are no random ones but the empty one", t->name), false;
  t->bytes = dtype_bytes(t->dtype);
  for (int d = 0; d < t->rank; ++d) {
    if (__builtin_mul_overflow(t->bytes, static_cast<size_t>(t->dims[d]), &t->bytes)) t->bytes = ~size_t{0} >> 1;
  }
  t->data = allocate_pages(t->bytes);
  if (!t->data) return snprintf(error, EDGEORT_ERROR_BYTES, "out of memory for input \"%s\"", t->name), false;
  fill_random(*t, index);
  return true;
}

bool set_inputs(edgeort_model* model, const Options& o, char* error) {
  const char* folder = o.inputs ? o.inputs : o.check;
  if (!know_shapes(model, o, error)) return false;
  for (int i = 0; i < edgeort_input_count(model); ++i) {
    edgeort_tensor t;
    edgeort_input(model, i, &t);
    if (folder) {
      char path[kPathBytes];
      Mapping mapping;
      const int dtype = t.dtype;
      if (!file_path(path, folder, "input", i)) return snprintf(error, EDGEORT_ERROR_BYTES, "the path is too long"), false;
      if (!read_npy(path, &mapping, &t, error)) return false;
      if (t.dtype == stored_dtype(dtype)) t.dtype = dtype;
    } else if (!make_input(model, o, i, &t, error)) {
      return false;
    }
    if (edgeort_set_input(model, i, &t)) return snprintf(error, EDGEORT_ERROR_BYTES, "%s", edgeort_last_error(model)), false;
  }
  return true;
}

// The digest that digests.txt has for an output ("output0 0123456789abcdef" a line), or false.
bool expected_digest(const char* folder, int index, u64* out) {
  char path[kPathBytes], line[128], name[32];
  if (snprintf(path, sizeof(path), "%s/digests.txt", folder) >= kPathBytes) return false;
  snprintf(name, sizeof(name), "output%d ", index);
  FILE* file = fopen(path, "rb");
  if (!file) return false;
  bool found = false;
  while (!found && fgets(line, sizeof(line), file)) {
    if (strncmp(line, name, strlen(name)) != 0) continue;
    *out = strtoull(line + strlen(name), nullptr, 16);
    found = true;
  }
  fclose(file);
  return found;
}

// Whether output `got` is near enough to the one in a file; `error` says how near it is.
bool is_near(const edgeort_tensor& got, const edgeort_tensor& want, double min_sqnr_db, char* error) {
  const double is = sqnr_db(got, want);
  if (is >= min_sqnr_db) return true;
  snprintf(error, EDGEORT_ERROR_BYTES, "output \"%s\" differs: its SQNR is %.1f dB, below %.1f dB", got.name, is, min_sqnr_db);
  return false;
}

bool has_digest(const edgeort_tensor& got, u64 should, char* error) {
  const u64 is = digest(got);
  if (is == should) return true;
  snprintf(error, EDGEORT_ERROR_BYTES, "output \"%s\" differs: its digest is %016llx, not %016llx", got.name,
           static_cast<unsigned long long>(is), static_cast<unsigned long long>(should));
  return false;
}

// 0 when output `index` is what the folder says, 1 when it differs, 2 when the folder does not say.
int check_output(edgeort_model* model, const Options& o, int index, char* error) {
  edgeort_tensor got, want;
  edgeort_output(model, index, &got);
  const bool near = o.min_sqnr_db > 0 && got.dtype < EDGEORT_STRING;  // strings and sequences have no noise
  u64 should;
  char path[kPathBytes];
  if (file_path(path, o.check, "output", index) && exists(path)) {
    Mapping mapping;
    if (!read_npy(path, &mapping, &want, error)) return 2;
    if (want.dtype == stored_dtype(got.dtype)) want.dtype = got.dtype;
    const bool good = near ? is_near(got, want, o.min_sqnr_db, error) : has_digest(got, digest(want), error);
    release_texts(want);
    unmap(mapping);
    return good ? 0 : 1;
  }
  if (near || !expected_digest(o.check, index, &should)) {
    snprintf(error, EDGEORT_ERROR_BYTES, "%s has no output%d.npy%s", o.check, index, near ? "" : ", nor a line for it in digests.txt");
    return 2;
  }
  return has_digest(got, should, error) ? 0 : 1;
}

int check_outputs(edgeort_model* model, const Options& o, Result* r, char* error) {
  int worst = 0;
  for (int i = 0; o.check && i < edgeort_output_count(model) && !worst; ++i) worst = check_output(model, o, i, error);
  if (o.check && worst < 2) r->check = worst ? "failed" : "passed";
  if (worst) {
    fprintf(stderr, "edgeort_bench: %s\n", error);
    r->difference = error;
  }
  return worst;
}

int write_outputs(edgeort_model* model, const char* folder) {
  for (int i = 0; folder && i < edgeort_output_count(model); ++i) {
    edgeort_tensor t;
    edgeort_output(model, i, &t);
    char path[kPathBytes];
    if (!file_path(path, folder, "output", i) || !write_npy(path, t)) {
      fprintf(stderr, "edgeort_bench: %s cannot be written\n", path);
      return 2;
    }
  }
  return 0;
}

int bench(const Options& o, edgeort_model* model, Result* r) {
  char error[EDGEORT_ERROR_BYTES];
  if (!set_inputs(model, o, error)) return fail(error);
  u64 start = now_ns();
  if (const int failed = edgeort_prepare(model)) return fail(model, failed);
  r->prepare_ms = ms_since(start);
  start = now_ns();
  if (const int failed = edgeort_run(model)) return fail(model, failed);
  r->first_run_ms = ms_since(start);
  const int differs = check_outputs(model, o, r, error);
  if (differs == 2) return 2;
  r->measured.peak_rss_bytes = peak_rss_bytes();
  if (!differs) {
    const int failed = measure(model, o, &r->measured);
    if (failed) return failed < 0 ? fail("out of memory") : fail(model, failed);
  }
  edgeort_get_stats(model, &r->stats);
  if (const int failed = write_outputs(model, o.outputs)) return failed;
  o.json ? print_json(model, r) : print_text(model, r);
  return differs;
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  bool help = false;
  if (!parse_options(argc, argv, &o, &help)) return 2;
  if (help) return 0;
  char error[EDGEORT_ERROR_BYTES];
  Result result = {};
  if (o.cores && !hold_to_cores(o.cores, &result.cores, error, sizeof(error))) return fail(error);
  const edgeort_options options = {o.threads, o.profile, o.isa};
  result.plan = o.plan;
  result.profile = o.profile;
  const u64 start = now_ns();
  edgeort_model* model = edgeort_open(o.plan, &options, error);
  result.open_ms = ms_since(start);
  if (!model) return fail(error);
  const int status = o.stream ? answer_stream(model) : bench(o, model, &result);
  edgeort_close(model);
  return fflush(stdout) == 0 ? status : 2;
}
