// The linker's --wrap puts this in the place of the platform's pages; core/bump.cc and core/pages.cc are left out.
#include "allocations.h"

#include <stdlib.h>
#include <string.h>

#include "model.h"

using namespace edgeort;

Piece* blocks;
size_t allocated, most_bytes;
volatile sig_atomic_t allocating;

namespace {

void* take(size_t size, const void* owner) {
  if (size > most_bytes || allocated > most_bytes - size) return nullptr;
  ++allocating;
  void* data = nullptr;
  if (posix_memalign(&data, 64, size ? size : 1) != 0) abort();
  memset(data, 0, size ? size : 1);
  blocks = new Piece{data, size, owner, blocks};
  allocated += size;
  --allocating;
  return data;
}

}  // namespace

extern "C" {
void* __wrap__ZN7edgeort14allocate_pagesEm(size_t size) { return take(size, nullptr); }
void __wrap__ZN7edgeort10free_pagesEPvm(void* data, size_t) {
  if (data) release([=](const Piece& b) { return b.data == data; });
}
}

namespace edgeort {  // in the place of core/bump.cc
void* Bump::take(size_t size) { return ::take(size, this); }
bool Bump::holds(const void* data) const {
  bool found = false;
  for (const Piece* piece = blocks; piece && !found; piece = piece->next) {
    const auto begin = reinterpret_cast<uintptr_t>(piece->data), at = reinterpret_cast<uintptr_t>(data);
    found = piece->owner == this && at >= begin && at < begin + piece->size;
  }
  return found;
}
void* Pages::take(size_t size, bool zeroed) {
  void* data = allocate_pages(size);
  if (data && !zeroed) memset(data, 0xff, size);  // what earlier shapes may have left: no number, no position
  return data;
}
void Pages::give(void* data, size_t) { free_pages(data, 0); }
void Pages::free() {}
void Bump::free() {
  release([this](const Piece& b) { return b.owner == this; });
}
}  // namespace edgeort
