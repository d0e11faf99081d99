#include "product.h"

namespace edgeort {

Status Product::bind(Prepare& p, Status (*geometry)(Prepare&, const ConvParams&, Geometry*), const CompressedKernels* compressed) {
  const auto& params = p.params<ConvParams>();
  EDGEORT_TRY(geometry(p, params, &g));
  per_group_in = g.c_in / g.groups;
  per_group_out = g.c_out / g.groups;
  k = g.taps * per_group_in;
  padded_out = ceil_div(per_group_out, kPanel) * kPanel;
  if (k > i64{1} << 27) return p.fail("the kernel is too large");
  if (compressed) {
    EDGEORT_TRY(check_bias(p, g.groups * padded_out));
    EDGEORT_TRY(matrix.compression.bind(p, *compressed, g.groups * (padded_out / kPanel), k));
  } else {
    EDGEORT_TRY(check_weights(p, g.groups * k * padded_out, g.groups * padded_out));
  }
  const Tensor& y = p.out(0);
  EDGEORT_TRY(matrix.bind(p, params.epilogue, sizeof(params), y.dims, y.rank - 1, y.dims[y.rank - 1], k));
  matrix.n = per_group_out;
  return Status::ok;
}

Status Product::keep_zeros(Prepare& p, i64 floats) {
  zeros = static_cast<const f32*>(p.keep(static_cast<u64>(floats) * sizeof(f32)));
  return zeros ? Status::ok : p.out_of_memory();
}

}  // namespace edgeort
