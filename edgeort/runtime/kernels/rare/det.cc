// Det: of each matrix in the last two axes, by elimination with row pivots, in float64.
#include "../move/args.h"

namespace edgeort {
namespace {

Status prepare(Prepare& p) {
  EDGEORT_TRY(need(p, 1, 1));
  const Tensor& x = p.in(0);
  if (x.dtype != DType::f32 && x.dtype != DType::f64) return p.fail("its input must be float32 or float64");
  if (x.rank < 2 || x.dims[x.rank - 1] != x.dims[x.rank - 2]) return p.fail("its matrices must be square");
  const i64 n = x.dims[x.rank - 1];
  if (n > 1 << 14) return p.fail("its matrices are too large");
  p.thread_scratch(static_cast<u64>(n * n) * sizeof(f64));
  return p.set(0, x.dtype, x.dims, x.rank - 2);
}

f64 determinant(f64* a, i64 n) {
  f64 det = 1;
  for (i64 k = 0; k < n; ++k) {
    i64 pivot = k;
    for (i64 i = k + 1; i < n; ++i) pivot = __builtin_fabs(a[i * n + k]) > __builtin_fabs(a[pivot * n + k]) ? i : pivot;
    if (a[pivot * n + k] == 0) return 0;
    if (pivot != k) det = -det;
    for (i64 j = k; pivot != k && j < n; ++j) {
      const f64 t = a[k * n + j];
      a[k * n + j] = a[pivot * n + j];
      a[pivot * n + j] = t;
    }
    det *= a[k * n + k];
    for (i64 i = k + 1; i < n; ++i) {
      const f64 factor = a[i * n + k] / a[k * n + k];
      for (i64 j = k + 1; j < n; ++j) a[i * n + j] -= factor * a[k * n + j];
    }
  }
  return det;
}

template <class T>
void run_of(Run& r) {
  const Tensor& x = r.in(0);
  const i64 n = x.dims[x.rank - 1];
  T* y = r.out(0).as<T>();
  r.ranges(count(r.out(0)), 1, [&](i64 begin, i64 end, int thread) {
    f64* a = static_cast<f64*>(r.thread_scratch(thread));
    for (i64 m = begin; m < end; ++m) {
      for (i64 i = 0; i < n * n; ++i) a[i] = static_cast<f64>(x.as<const T>()[m * n * n + i]);
      y[m] = static_cast<T>(determinant(a, n));
    }
  });
}

void run(Run& r) { r.in(0).dtype == DType::f32 ? run_of<f32>(r) : run_of<f64>(r); }

}  // namespace

extern const OpDef kDet;
const OpDef kDet = {"Det", 0, prepare, run};

}  // namespace edgeort
