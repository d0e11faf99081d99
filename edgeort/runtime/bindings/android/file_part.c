#include "file_part.h"

#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { kAlignment = 64 };

// Offsets go to the kernel itself where long has 32 bits: there musl's off_t, by whose headers this is compiled, is not bionic's.
static int64_t size_of_file(int file) {
#if UINTPTR_MAX > UINT32_MAX
  return lseek(file, 0, SEEK_END);
#else
  int64_t size = -1;
  return syscall(SYS__llseek, file, 0, 0, &size, SEEK_END) ? -1 : size;
#endif
}

static void* map(size_t bytes, int protection, int flags, int file, int64_t offset) {
#if UINTPTR_MAX > UINT32_MAX
  return mmap(NULL, bytes, protection, flags, file, offset);
#else
  return (void*)syscall(SYS_mmap2, NULL, bytes, protection, flags, file, (unsigned long)(offset >> 12));  // in units of 4096
#endif
}

FilePart read_file_part(int file, int64_t offset, int64_t length, const char** reason) {
  FilePart part = {0};
  const int64_t size = size_of_file(file);
  if (size < 0) return *reason = "the file of the model cannot be read", part;
  if (offset < 0 || length <= 0 || offset > size || length > size - offset || (uint64_t)length > SIZE_MAX / 2) {
    return *reason = "the model ends beyond its file", part;
  }
  const int64_t page = (int64_t)getauxval(AT_PAGESZ), before = offset % page;
  part.bytes = (size_t)length;
  part.mapped = part.bytes + (size_t)before;
  part.pages = map(part.mapped, PROT_READ, MAP_PRIVATE, file, offset - before);
  if (part.pages == MAP_FAILED) return *reason = "the model cannot be mapped", part;
  part.data = (const uint8_t*)part.pages + before;
  if (before % kAlignment == 0) return part;
  void* copy = map(part.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (copy == MAP_FAILED) return release_file_part(&part), *reason = "out of memory", part;
  memcpy(copy, part.data, part.bytes);
  release_file_part(&part);
  return (FilePart){copy, (size_t)length, 1, copy, (size_t)length};
}

void release_file_part(FilePart* part) { munmap(part->pages, part->mapped); }
