#include "data.h"

#include <string.h>

namespace edgeort {
namespace {

constexpr size_t kSizes[] = {
    4, 1, 1, 2, 2, 4, 8, 1, 2, 8, 4, 8, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, sizeof(edgeort_string), sizeof(edgeort_item)};
static_assert(sizeof(kSizes) / sizeof(*kSizes) == EDGEORT_TENSOR + 1);

// IEEE bits of n * 2^(1 - width) - 1, for n of `width` bits: exact in a format with at least width - 1 fraction bits.
u64 on_grid(u64 n, int width, int exponent_bits, int fraction_bits) {
  const i64 value = static_cast<i64>(n) - (i64{1} << (width - 1));  // in units of 2^(1 - width)
  if (value == 0) return 0;
  const u64 magnitude = static_cast<u64>(value < 0 ? -value : value);
  const int top = 63 - __builtin_clzll(magnitude);
  const u64 exponent = static_cast<u64>(top - (width - 1) + (1 << (exponent_bits - 1)) - 1);
  const u64 fraction = (magnitude ^ u64{1} << top) << (fraction_bits - top);
  return static_cast<u64>(value < 0) << (exponent_bits + fraction_bits) | exponent << fraction_bits | fraction;
}

u64 element(u64 bits, int dtype) {
  switch (dtype) {
    case EDGEORT_F32:
      return on_grid(bits >> 40, 24, 8, 23);
    case EDGEORT_F64:
      return on_grid(bits >> 40, 24, 11, 52);
    case EDGEORT_F16:
      return on_grid(bits >> 53, 11, 5, 10);
    case EDGEORT_BF16:
      return on_grid(bits >> 56, 8, 8, 7);
    case EDGEORT_U8:
    case EDGEORT_I8:
      return bits >> 56;
    case EDGEORT_BOOL:
      return bits >> 63;
    default:
      return bits >> 57;
  }
}

// The word with every NaN in it replaced by the quiet one; `size` bytes an element.
u64 canonical(u64 word, int dtype) {
  u64 exponent, quiet;
  switch (dtype) {
    case EDGEORT_F32:
      exponent = 0x7f800000, quiet = 0x7fc00000;
      break;
    case EDGEORT_F64:
      exponent = 0x7ff0000000000000, quiet = 0x7ff8000000000000;
      break;
    case EDGEORT_F16:
      exponent = 0x7c00, quiet = 0x7e00;
      break;
    case EDGEORT_BF16:
      exponent = 0x7f80, quiet = 0x7fc0;
      break;
    default:
      return word;
  }
  const int width = static_cast<int>(dtype_bytes(dtype)) * 8;
  const u64 mask = width == 64 ? ~u64{0} : (u64{1} << width) - 1;
  for (int at = 0; at < 64; at += width) {
    const u64 bits = word >> at & mask & ~(u64{1} << (width - 1));
    if (bits > exponent) word = (word & ~(mask << at)) | quiet << at;
  }
  return word;
}

}  // namespace

u64 mix(u64 x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

size_t dtype_bytes(int dtype) { return kSizes[dtype]; }

i64 element_count(const edgeort_tensor& tensor) {
  i64 n = 1;
  for (int d = 0; d < tensor.rank; ++d) n *= tensor.dims[d];
  return n;
}

void fill_random(const edgeort_tensor& tensor, int input) {
  static constexpr char kLetters[] = "abcdefghijklmnopqrstuvwxyz012345";
  const size_t size = dtype_bytes(tensor.dtype);
  const u64 seed = mix(static_cast<u64>(input));
  const i64 n = element_count(tensor);
  for (i64 i = 0; i < n; ++i) {
    if (tensor.dtype == EDGEORT_STRING) {
      static_cast<edgeort_string*>(tensor.data)[i] = {kLetters + (mix(seed ^ static_cast<u64>(i)) >> 59), 1};
      continue;
    }
    const u64 value = element(mix(seed ^ static_cast<u64>(i)), tensor.dtype);
    memcpy(static_cast<u8*>(tensor.data) + static_cast<size_t>(i) * size, &value, size);
  }
}

namespace {

struct Sum {
  u64 sum = 0, at = 0;

  void add(u64 word) { sum += mix(mix(at++) ^ word); }
  void add(const void* data, size_t bytes, int dtype) {
    for (size_t i = 0; i < bytes; i += 8) {
      u64 word = 0;
      memcpy(&word, static_cast<const u8*>(data) + i, bytes - i < 8 ? bytes - i : 8);
      add(canonical(word, dtype));
    }
  }
  void add(const edgeort_tensor& tensor) {
    add(static_cast<u64>(tensor.dtype));
    add(static_cast<u64>(tensor.rank));
    for (int d = 0; d < tensor.rank; ++d) add(static_cast<u64>(tensor.dims[d]));
    const i64 n = element_count(tensor);
    if (tensor.dtype == EDGEORT_STRING) {
      const auto* texts = static_cast<const edgeort_string*>(tensor.data);
      for (i64 i = 0; i < n; ++i) {
        add(texts[i].bytes);
        add(texts[i].data, static_cast<size_t>(texts[i].bytes), EDGEORT_U8);
      }
    } else if (tensor.dtype == EDGEORT_TENSOR) {
      for (i64 i = 0; i < n; ++i) add(*static_cast<const edgeort_item*>(tensor.data)[i].tensor);
    } else {
      add(tensor.data, static_cast<size_t>(n) * dtype_bytes(tensor.dtype), tensor.dtype);
    }
  }
};

}  // namespace

u64 digest(const edgeort_tensor& tensor) {
  Sum all;
  all.add(tensor);
  return all.sum;
}

}  // namespace edgeort
