// Elements from places that a table gives.
#pragma once
#include "../../core/dispatch.h"

namespace edgeort {

// y[i] = x[places[i]] for i in [0, n), of 4 bytes each.
using PickFn = void (*)(const f32* x, const i32* places, i64 n, f32* y);

}  // namespace edgeort
