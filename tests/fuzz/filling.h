// The data of a model's inputs.
#pragma once
#include <stdlib.h>
#include <string.h>

#include <vector>

#include "checked.h"

// Inputs live in blocks of their exact size.
struct Buffers {
  void* data[64] = {};
  std::vector<void*> others;  // what strings and tensors among them point at
  ~Buffers() {
    for (void* p : data) free(p);
    for (void* p : others) free(p);
  }
  void* take(const void* from, size_t size) {
    others.push_back(malloc(size ? size : 1));
    if (size) memcpy(others.back(), from, size);
    return others.back();
  }
};

// Gives every input but states what is given, or something at random; false where it is refused or too large.
bool set_inputs(edgeort_model* model, Random& random, const std::vector<Input>& given, Buffers& buffers);
