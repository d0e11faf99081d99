// Changes of a plan where they matter: in its tables, records, types, operands and parameters.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <vector>

#include "checked.h"

// Changes one to three places. A plan shorter than a header is left as it is.
void mutate_plan(std::vector<uint8_t>& plan, Random& random);

// Where the parameters of all nodes lie in a plan; {0, 0} where that is not within it.
struct Section {
  size_t offset, size;
};
Section params_of(const uint8_t* plan, size_t size);
