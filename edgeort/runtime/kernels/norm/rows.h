// What the operators of this family share.
#pragma once
#include "../../core/op.h"
#include "norm.h"

namespace edgeort {

static constexpr i64 kFloatsPerTask = 16384;

static constexpr f32 kOne = 1.0f, kZero = 0.0f;

// Rows of `n` elements that make a task worth a thread's while.
static inline i64 rows_per_task(i64 n) { return max_of(1, kFloatsPerTask / max_of(1, n)); }

// Input `i` as the factor of n elements; `neutral` where it is absent. Its size is n or 1.
static inline Factor factor_of(const Run& r, int i, const f32* neutral) {
  if (!r.has(i)) return {neutral, 0};
  return {r.in(i).as<const f32>(), count(r.in(i)) > 1};
}

// Checks that input i is float32 of n elements, or of 1 where `one` allows it.
static inline Status check_factor(Prepare& p, int i, i64 n, bool one) {
  if (p.in(i).dtype != DType::f32) return p.fail("input %d must be float32", i);
  const i64 size = count(p.in(i));
  if (size == n || (one && size == 1)) return Status::ok;
  return p.fail("input %d has %lld values for %lld", i, static_cast<long long>(size), static_cast<long long>(n));
}

}  // namespace edgeort
