#include "stream.h"

#include <stdio.h>
#include <string.h>
#if defined(_WIN32)
#include <fcntl.h>
#include <io.h>
#endif

#include "data.h"
#include "npy.h"

namespace edgeort {
namespace {

constexpr u32 kFrameMagic = 0x53524f45;
constexpr size_t kTable = 256;

struct Frame {
  u32 magic, kind;
  u64 size;
};

// Memory that grows. An input's stays until the next sample's is there, as the model reads it where it lies.
struct Buffer {
  u8* data = nullptr;
  size_t size = 0;

  bool reserve(size_t wanted) {
    if (wanted <= size) return true;
    release();
    data = static_cast<u8*>(allocate_pages(wanted));
    size = data ? wanted : 0;
    return data != nullptr;
  }
  void release() {
    if (data) free_pages(data, size);
    *this = {};
  }
};

struct Input {
  Buffer raw, widened;
  edgeort_tensor given;
};

bool write_head(FILE* file, u32 kind, size_t size) {
  const Frame frame = {kFrameMagic, kind, size};
  return fwrite(&frame, sizeof(frame), 1, file) == 1;
}

bool write_array_head(FILE* file, size_t size) { return write_head(file, kArray, size); }

int fail(u32 kind, const char* what) {
  fprintf(stderr, "edgeort_bench: %s\n", what);
  if (write_head(stdout, kind, strlen(what))) fputs(what, stdout);
  fflush(stdout);
  return kind == kOverRamLimit ? 3 : 2;
}

const char* read_frame(Frame* frame) {
  if (fread(frame, sizeof(*frame), 1, stdin) != 1) return "the stream ends within a sample";
  return frame->magic == kFrameMagic ? nullptr : "the stream is damaged";
}

const char* widen(Input* input, size_t size, edgeort_tensor* t) {
  u64 head[2];
  if (size < sizeof(head)) return "a palette is damaged";
  memcpy(head, input->raw.data, sizeof(head));
  const u64 channels = head[0], inner = head[1];
  if (!channels || !inner || channels > 4096 || inner > u64{1} << 40) return "a palette is damaged";
  const size_t start = (sizeof(head) + channels * kTable * sizeof(float) + 63) / 64 * 64;
  if (start > size) return "a palette is damaged";
  if (const char* problem = parse_npy(input->raw.data + start, size - start, t)) return problem;
  const auto n = static_cast<size_t>(element_count(*t));
  if (t->dtype != EDGEORT_U8 || n % (channels * inner)) return "a palette is damaged";
  if (n > ~size_t{0} / 8 || !input->widened.reserve(n * sizeof(float))) return "out of memory for an input";
  const auto* tables = reinterpret_cast<const float*>(input->raw.data + sizeof(head));
  const auto* from = static_cast<const u8*>(t->data);
  auto* to = reinterpret_cast<float*>(input->widened.data);
  for (size_t at = 0; at < n;) {
    for (u64 c = 0; c < channels; ++c) {
      const float* table = tables + c * kTable;
      for (u64 k = 0; k < inner; ++k, ++at) to[at] = table[from[at]];
    }
  }
  t->dtype = EDGEORT_F32;
  t->data = to;
  t->bytes = n * sizeof(float);
  return nullptr;
}

const char* read_input(edgeort_model* model, int index, Input* input) {
  Frame frame;
  edgeort_tensor declared, t;
  edgeort_input(model, index, &declared);
  if (const char* problem = read_frame(&frame)) return problem;
  if (frame.kind != kArray && frame.kind != kPalette) return "the stream is damaged";
  if (frame.size > u64{1} << 40 || !input->raw.reserve(static_cast<size_t>(frame.size))) return "out of memory for an input";
  const auto size = static_cast<size_t>(frame.size);
  if (fread(input->raw.data, 1, size, stdin) != size) return "the stream ends within a sample";
  const char* problem = frame.kind == kPalette ? widen(input, size, &t) : parse_npy(input->raw.data, size, &t);
  if (problem) return problem;
  if (t.dtype == stored_dtype(declared.dtype)) t.dtype = declared.dtype;
  input->given = t;
  return edgeort_set_input(model, index, &t) ? edgeort_last_error(model) : nullptr;
}

int answer(edgeort_model* model, Input* inputs) {
  for (int i = 0; i < edgeort_input_count(model); ++i) {
    if (const char* problem = read_input(model, i, inputs + i)) return fail(kFailed, problem);
  }
  if (const int failed = edgeort_run(model)) {
    return fail(failed == EDGEORT_OVER_RAM_LIMIT ? kOverRamLimit : kFailed, edgeort_last_error(model));
  }
  for (int i = 0; i < edgeort_output_count(model); ++i) {
    edgeort_tensor t;
    edgeort_output(model, i, &t);
    if (t.dtype == EDGEORT_TENSOR) return fail(kFailed, "an output is a sequence, which no .npy file can hold");
    if (!write_npy(stdout, t, write_array_head)) return 2;  // nobody reads any more
  }
  for (int i = 0; i < edgeort_input_count(model); ++i) release_texts(inputs[i].given);
  return fflush(stdout) == 0 ? 0 : 2;
}

}  // namespace

int answer_stream(edgeort_model* model) {
#if defined(_WIN32)
  _setmode(0, _O_BINARY);
  _setmode(1, _O_BINARY);
#endif
  const auto bytes = static_cast<size_t>(edgeort_input_count(model)) * sizeof(Input);
  auto* inputs = static_cast<Input*>(allocate_pages(bytes));
  if (!inputs) return fail(kFailed, "out of memory");
  int status = 0;
  for (Frame frame; !status && fread(&frame, sizeof(frame), 1, stdin) == 1;) {
    const bool good = frame.magic == kFrameMagic && frame.kind == kSample && frame.size == 0;
    status = good ? answer(model, inputs) : fail(kFailed, "the stream is damaged");
  }
  for (int i = 0; i < edgeort_input_count(model); ++i) {
    inputs[i].raw.release();
    inputs[i].widened.release();
  }
  free_pages(inputs, bytes);
  return status;
}

}  // namespace edgeort
