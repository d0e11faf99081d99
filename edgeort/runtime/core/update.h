// A change of inputs' sizes that reaches few nodes, such as a decoder's next token, whose past is a row longer.
//
// The nodes of the first segment that such a change reaches are prepared once more; all others stay as they are, and so does the place of
// every tensor and of all scratch: what a node needs now must fit what it has. That, too, is what nodes hold of the first segment's plan:
// who has columns of another tensor, a stream or a row epilogue must not be reached.
#pragma once
#include "op.h"

namespace edgeort {

// False where all of the segment must be prepared anew; what is there then is not valid.
bool update(Model& model);

}  // namespace edgeort
