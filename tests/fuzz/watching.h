// What the nodes of a model do to its tensors, while it runs.
#pragma once
#include "model.h"

// What producers left, by tensor; null: nothing is watched.
extern edgeort::u64* sums;
extern bool* summed;

// Ends the process unless the tensor has the bytes that its producer left; `node` reads it.
void expect(const edgeort::Model& m, edgeort::i32 tensor, edgeort::u32 node);
void poison_arenas(const edgeort::Model& m, bool on);
