#include <string.h>

#include "model.h"

namespace edgeort {

void* Pages::take(size_t size, bool zeroed) {
  if (size > ~size_t{0} - kHead) return nullptr;
  Block** best = nullptr;
  for (Block** at = &free_; *at; at = &(*at)->next) {
    if ((*at)->size >= size && (!best || (*at)->size < (*best)->size)) best = at;
  }
  if (best) {
    Block* block = *best;
    *best = block->next;
    u8* data = reinterpret_cast<u8*>(block) + kHead;
    if (!zeroed) return data;
    memset(data, 0, size < block->used ? size : block->used);
    if (size >= block->used) block->used = 0;
    return data;
  }
  const bool grows = free_ && size <= ~size_t{0} / 4;
  free();                                        // what does not fit now would not later, when shapes have grown
  size_t room = grows ? size + size / 2 : size;  // as they may again, where memory is for that
  auto* block = static_cast<Block*>(allocate_pages(room + kHead));
  if (!block && grows) block = static_cast<Block*>(allocate_pages((room = size) + kHead));
  if (!block) return nullptr;
  block->size = room;
  block->used = 0;
  return reinterpret_cast<u8*>(block) + kHead;
}

void Pages::give(void* data, size_t used) {
  if (!data) return;
  auto* block = reinterpret_cast<Block*>(static_cast<u8*>(data) - kHead);
  if (block->used < used) block->used = used < block->size ? used : block->size;
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
