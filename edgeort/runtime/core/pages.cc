#include <string.h>

#include "model.h"

namespace edgeort {

void* Pages::take(size_t size) {
  if (size > ~size_t{0} - kHead) return nullptr;
  Block** best = nullptr;
  for (Block** at = &free_; *at; at = &(*at)->next) {
    if ((*at)->size >= size && (!best || (*at)->size < (*best)->size)) best = at;
  }
  if (best) {
    Block* block = *best;
    *best = block->next;
    return memset(reinterpret_cast<u8*>(block) + kHead, 0, size);
  }
  free();  // what does not fit now would not later, when shapes have grown
  auto* block = static_cast<Block*>(allocate_pages(size + kHead));
  if (!block) return nullptr;
  block->size = size;
  return reinterpret_cast<u8*>(block) + kHead;
}

void Pages::give(void* data) {
  if (!data) return;
  auto* block = reinterpret_cast<Block*>(static_cast<u8*>(data) - kHead);
  block->next = free_;
  free_ = block;
}

void Pages::free() {
  while (Block* block = free_) {
    free_ = block->next;
    free_pages(block, block->size + kHead);
  }
}

}  // namespace edgeort
