// Row epilogues: an operator that works row by row runs on the rows of the product before it, a task's as soon as they are whole.
#pragma once
#include "op.h"

namespace edgeort {

struct Segment;

// Gives the nodes of a segment, which are prepared, their row epilogues. Those are then not run by themselves.
void plan_row_epilogues(Model& model, const Segment& segment);

}  // namespace edgeort
