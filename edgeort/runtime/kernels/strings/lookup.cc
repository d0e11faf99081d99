// Lookup: the value that stands beside each element's key. Operands: x, the keys in rising order (strings, or numbers of x's type),
// the values, the value of what is no key.
#include "../index/order.h"
#include "strings.h"

namespace edgeort {
namespace {

Status prepare(Prepare& p) {
  EDGEORT_TRY(need(p, 4, 1));
  const Tensor &x = p.in(0), &keys = p.in(1), &values = p.in(2), &other = p.in(3);
  if (x.dtype == DType::tensor || values.dtype == DType::tensor) return p.fail("tensors are no keys");
  if (keys.dtype != x.dtype || values.dtype != other.dtype) return p.fail("keys or values have another element type");
  if (keys.rank != 1 || values.rank != 1 || keys.dims[0] != values.dims[0] || count(other) != 1)
    return p.fail("it needs a value for each key, and one for all others");
  return p.set(0, values.dtype, x.dims, x.rank);
}

// Below, at or above zero as element i of x comes before, is, or comes behind key k.
int compare(const Tensor& x, i64 i, const Tensor& keys, i64 k) {
  if (x.dtype == DType::string) return compare_texts(x.as<const Text>()[i], keys.as<const Text>()[k]);
  const u64 a = key_of(x.dtype, x.data, i), b = key_of(x.dtype, keys.data, k);
  return a < b ? -1 : a > b;
}

void run(Run& r) {
  const Tensor &x = r.in(0), &keys = r.in(1), &out = r.out(0);
  const size_t size = size_of(out.dtype);
  r.ranges(count(x), 1024, [&](i64 begin, i64 end, int) {
    for (i64 i = begin; i < end; ++i) {
      i64 low = 0, high = keys.dims[0];
      while (low < high) {
        const i64 middle = (low + high) / 2;
        if (compare(x, i, keys, middle) > 0)
          low = middle + 1;
        else
          high = middle;
      }
      const bool found = low < keys.dims[0] && compare(x, i, keys, low) == 0;
      const u8* from = found ? r.in(2).as<const u8>() + static_cast<size_t>(low) * size : r.in(3).as<const u8>();
      memcpy(out.as<u8>() + static_cast<size_t>(i) * size, from, size);
    }
  });
}

}  // namespace

extern const OpDef kLookup;
const OpDef kLookup = {"Lookup", 0, prepare, run};

}  // namespace edgeort
