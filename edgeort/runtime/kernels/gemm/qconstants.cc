#include "qconstants.h"

namespace edgeort {

Status q_constants(Prepare& p, i64 weights, i64 columns, bool biased, QConstants* c) {
  for (int i = kWeights; i < kOperands; ++i) {
    if (!p.has(i) && (biased || i != kBias))
      return p.fail("needs weights, sums of weights and scales, and a bias if its input is quantised");
  }
  if (!fits(p.in(kWeights), DType::i8, weights)) return p.fail("its packed weights must have %lld int8", (long long)weights);
  if ((biased && !fits(p.in(kBias), DType::i32, columns)) || !fits(p.in(kSums), DType::i32, columns) ||
      !fits(p.in(kScale), DType::f32, columns))
    return p.fail("its bias, sums and scales must have %lld values", (long long)columns);
  c->bias = biased ? static_cast<const i32*>(p.value(kBias)) : nullptr;
  c->sums = static_cast<const i32*>(p.value(kSums));
  c->scale = static_cast<const f32*>(p.value(kScale));
  if ((biased && !c->bias) || !c->sums || !c->scale || !p.is_known(kWeights))
    return p.fail("its weights, bias, sums and scales must be constants");
  return Status::ok;
}

Status q_result(Prepare& p, const Quantisation& q, bool quantised, QResult* r) {
  if (!is_byte(q.x_zero_point) || !is_byte(q.zero_point) || !is_byte(q.lo) || !is_byte(q.hi) || q.lo > q.hi)
    return p.fail("a zero point or limit is out of range");
  const bool rectified = quantised && q.small && q.zero_point == -128 && q.lo == -128 && q.hi == 127;
  *r = {nullptr, nullptr, q.zero_point + kQ8Bias, q.lo + kQ8Bias, q.hi + kQ8Bias, quantised, rectified};
  return Status::ok;
}

}  // namespace edgeort
