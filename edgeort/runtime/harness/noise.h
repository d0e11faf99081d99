// How far an output is from the one that is expected, for engines that do not promise the same bytes.
#pragma once
#include "edgeort.h"

namespace edgeort {

// 10 log10(sum want^2 / sum (got - want)^2), at most 150. Negative infinity where types, shapes, NaNs or infinities differ.
double sqnr_db(const edgeort_tensor& got, const edgeort_tensor& want);

}  // namespace edgeort
