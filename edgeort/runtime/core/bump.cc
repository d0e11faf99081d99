#include "model.h"

namespace edgeort {

void* Bump::take(size_t size) {
  if (size > ~size_t{0} / 2) return nullptr;
  const size_t need = (size + 63) & ~size_t{63};
  if (!blocks_ || blocks_->size - blocks_->used < need) {
    constexpr size_t kHead = 64;
    const size_t bytes = need + kHead > kBlockBytes ? need + kHead : kBlockBytes;
    auto* block = static_cast<Block*>(pages_ ? pages_->take(bytes) : allocate_pages(bytes));
    if (!block) return nullptr;
    *block = {blocks_, bytes, kHead};
    blocks_ = block;
  }
  void* data = reinterpret_cast<u8*>(blocks_) + blocks_->used;
  blocks_->used += need;
  return data;
}

bool Bump::holds(const void* data) const {
  const auto at = reinterpret_cast<uintptr_t>(data);
  for (const Block* block = blocks_; block; block = block->next) {
    const auto begin = reinterpret_cast<uintptr_t>(block);
    if (at >= begin && at < begin + block->used) return true;
  }
  return false;
}

void Bump::free() {
  while (Block* block = blocks_) {
    blocks_ = block->next;
    if (pages_)
      pages_->give(block, block->used);
    else
      free_pages(block, block->size);
  }
}

}  // namespace edgeort
