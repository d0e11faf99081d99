// The memory of the runtime under test: each allocation is one of its own, up to a limit, and none may be left.
#pragma once
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>

struct Piece {
  void* data;
  size_t size;
  const void* owner;  // a Bump; null: pages
  Piece* next;
};

extern Piece* blocks;
extern size_t allocated, most_bytes;
extern volatile sig_atomic_t allocating;  // then the run must not be left

template <class Match>
void release(const Match& match) {
  ++allocating;
  for (Piece** at = &blocks; *at;) {
    Piece* block = *at;
    if (!match(*block)) {
      at = &block->next;
      continue;
    }
    *at = block->next;
    allocated -= block->size;
    free(block->data);
    delete block;
  }
  --allocating;
}
