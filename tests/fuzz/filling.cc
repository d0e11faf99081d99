#include "filling.h"

#include "allocations.h"
#include "items.h"
#include "model.h"
#include "texts.h"

using namespace edgeort;

namespace {

constexpr size_t kPattern = 1024;  // elements, after which an input's repeat themselves

// Elements of inputs: they are not the runtime's memory, but what a model makes of them is.
size_t most_elements() { return most_bytes / 16 > size_t{1} << 16 ? most_bytes / 16 : size_t{1} << 16; }

// Bytes that are plausible for the element type: small integers, some out of every range; floats, some special.
void fill(void* data, size_t size, DType dtype, Random& random) {
  const size_t own = size < kPattern * size_of(dtype) ? size : kPattern * size_of(dtype);
  for (size_t i = 0; i + size_of(dtype) <= own; i += size_of(dtype)) {
    const u64 bits = random.next();
    u8* to = static_cast<u8*>(data) + i;
    const i64 small = bits % 64 == 0 ? static_cast<i64>(bits >> 5) : static_cast<i64>((bits >> 8) % 9) - 2;
    if (dtype == DType::f32 || dtype == DType::f64) {
      const f64 value = static_cast<f64>(static_cast<i64>(bits)) * 0x1p-62;
      const f32 special[] = {0.0f, -0.0f, __builtin_inff(), -__builtin_inff(), __builtin_nanf(""), 1e38f, 1e-40f, -1.0f};
      const f32 single = bits % 64 == 0 ? special[bits >> 8 & 7] : static_cast<f32>(value);
      if (dtype == DType::f32) {
        memcpy(to, &single, 4);
      } else {
        memcpy(to, &value, 8);
      }
    } else if (dtype == DType::f16 || dtype == DType::bf16) {
      const u16 half = static_cast<u16>(bits >> 20);
      memcpy(to, &half, 2);
    } else if (dtype == DType::boolean) {
      *to = bits & 1;
    } else {
      memcpy(to, &small, size_of(dtype));
    }
  }
  for (size_t i = own; i < size; i += own) memcpy(static_cast<u8*>(data) + i, data, size - i < own ? size - i : own);
}

// Strings as a plan's constants hold them, or some of which not all are UTF-8.
void fill_texts(Text* texts, size_t n, const Input* input, Random& random, Buffers& buffers) {
  if (input && are_texts(input->data.data(), input->data.size(), n))
    return read_texts(static_cast<u8*>(buffers.take(input->data.data(), input->data.size())), n, texts);
  static const char* const some[] = {
      "", "a", "A b", "  two  words ", "monday", "\xc3\xa9t\xc3\xa9", "\xff\xc3", "\xf0\x9f\x98\x80", "a.b..c", "1.5e3"};
  for (size_t i = 0; i < n; ++i) {
    const char* text = some[random.below(sizeof(some) / sizeof(*some))];
    texts[i] = {static_cast<const char*>(buffers.take(text, strlen(text))), strlen(text)};
  }
}

// Small tensors of floats.
void fill_items(edgeort_item* items, size_t n, Random& random, Buffers& buffers) {
  for (size_t i = 0; i < n; ++i) {
    edgeort_tensor t = {"", nullptr, 0, EDGEORT_F32, static_cast<int32_t>(random.below(3)), {}};
    size_t elements = 1;
    for (int d = 0; d < t.rank; ++d) elements *= static_cast<size_t>(t.dims[d] = static_cast<i64>(random.below(4)));
    const f32 values[16] = {1, 2, 3, 4, 5};
    t.bytes = elements * sizeof(f32);
    t.data = buffers.take(values, t.bytes);
    items[i].bits = 0;
    items[i].tensor = static_cast<edgeort_tensor*>(buffers.take(&t, sizeof(t)));
  }
}

}  // namespace

bool set_inputs(edgeort_model* model, Random& random, const std::vector<Input>& given, Buffers& buffers) {
  const int n = edgeort_input_count(model);
  if (n > 64) return false;
  for (int i = 0; i < n; ++i) {
    if (is_state(*model, model->plan.inputs[i])) continue;
    edgeort_tensor t;
    edgeort_input(model, i, &t);
    const Input* input = static_cast<size_t>(i) < given.size() ? &given[static_cast<size_t>(i)] : nullptr;
    if (input && static_cast<int>(input->dims.size()) != t.rank) input = nullptr;
    for (int d = 0; input && d < t.rank; ++d) t.dims[d] = input->dims[static_cast<size_t>(d)];
    size_t elements = 1;
    for (int d = 0; d < t.rank; ++d) {
      if (t.dims[d] < 0) t.dims[d] = 1 + static_cast<i64>(random.below(5));
      if (t.dims[d] && elements > most_elements() / static_cast<size_t>(t.dims[d])) return false;
      elements *= static_cast<size_t>(t.dims[d]);
    }
    const size_t size = elements * kDTypeSize[t.dtype];
    if (points(static_cast<DType>(t.dtype)) && elements > 4096) return false;
    free(buffers.data[i]);
    buffers.data[i] = nullptr;
    t.data = buffers.data[i] = malloc(size ? size : 1);
    t.bytes = size;
    if (t.dtype == EDGEORT_STRING) {
      fill_texts(static_cast<Text*>(t.data), elements, input, random, buffers);
    } else if (t.dtype == EDGEORT_TENSOR) {
      fill_items(static_cast<edgeort_item*>(t.data), elements, random, buffers);
    } else if (input && size && input->data.size() == size) {
      memcpy(t.data, input->data.data(), size);
    } else {
      fill(t.data, size, static_cast<DType>(t.dtype), random);
    }
    if (edgeort_set_input(model, i, &t)) return false;
  }
  return true;
}
