// Convolutions of few channels, whose quads would be short: the values that an output reads, gathered into a row of their own.
#pragma once
#include "../conv/geometry.h"
#include "qgemm.h"

namespace edgeort {

// Whether that is worth it, for a `pitch` between pixels.
bool can_gather(const Geometry& g, i64 pitch);

// Panels of taps, each with whole quads, as panels of one tap: `to` has `panels` times ceil(taps * channels / kDepth) quads of
// zeros.
void gather_weights(const Geometry& g, i64 panels, const i8* from, i8* to);

// What output row `row` reads, tap after tap; `outside` is what padding reads.
void gather(const Geometry& g, const Lines& in, i64 row, q8 outside, q8* to);

}  // namespace edgeort
