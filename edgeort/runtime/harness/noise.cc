#include "noise.h"

#include <math.h>
#include <string.h>

#include "../simd/half.h"
#include "data.h"

namespace edgeort {
namespace {

constexpr double kEqualDb = 150;

template <class T>
double read(const void* data, i64 i) {
  T value;
  memcpy(&value, static_cast<const T*>(data) + i, sizeof(T));
  return static_cast<double>(value);
}

double read_bfloat16(const void* data, i64 i) {
  const u32 bits = static_cast<u32>(static_cast<const u16*>(data)[i]) << 16;
  return read<float>(&bits, 0);
}

double read_float16(const void* data, i64 i) { return load_halves<1>(static_cast<const u16*>(data) + i)[0]; }

double element(const edgeort_tensor& tensor, i64 i) {
  switch (tensor.dtype) {
    case EDGEORT_F32:
      return read<float>(tensor.data, i);
    case EDGEORT_F64:
      return read<double>(tensor.data, i);
    case EDGEORT_F16:
      return read_float16(tensor.data, i);
    case EDGEORT_BF16:
      return read_bfloat16(tensor.data, i);
    case EDGEORT_I16:
      return read<int16_t>(tensor.data, i);
    case EDGEORT_U16:
      return read<u16>(tensor.data, i);
    case EDGEORT_I32:
      return read<int32_t>(tensor.data, i);
    case EDGEORT_U32:
      return read<u32>(tensor.data, i);
    case EDGEORT_I64:
      return read<i64>(tensor.data, i);
    case EDGEORT_U64:
      return read<u64>(tensor.data, i);
    case EDGEORT_I8:
      return read<int8_t>(tensor.data, i);
    default:
      return read<u8>(tensor.data, i);
  }
}

}  // namespace

double sqnr_db(const edgeort_tensor& got, const edgeort_tensor& want) {
  bool same = got.dtype == want.dtype && got.rank == want.rank;
  for (int d = 0; same && d < want.rank; ++d) same = got.dims[d] == want.dims[d];
  double signal = 0, noise = 0;
  const i64 count = same ? element_count(want) : 0;
  for (i64 i = 0; same && i < count; ++i) {
    const double a = element(got, i), b = element(want, i);
    if (!isfinite(a) || !isfinite(b)) {
      same = a == b || (isnan(a) && isnan(b));
      continue;
    }
    signal += b * b;
    noise += (a - b) * (a - b);
  }
  if (!same) return -INFINITY;
  return noise == 0 ? kEqualDb : fmin(kEqualDb, 10 * log10(fmax(signal, 1e-300) / noise));
}

}  // namespace edgeort
