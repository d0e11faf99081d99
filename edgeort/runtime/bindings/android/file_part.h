// A part of an open file as memory that begins at a multiple of 64 bytes: mapped where it lies so in the file, else copied.
#ifndef EDGEORT_FILE_PART_H
#define EDGEORT_FILE_PART_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
  const void* data;
  size_t bytes;
  int is_copied;
  void* pages;  // what is mapped
  size_t mapped;
} FilePart;

// Maps `length` bytes from `offset`, read-only. On failure `reason` says why, and nothing is to be released. The file must not change.
FilePart read_file_part(int file, int64_t offset, int64_t length, const char** reason);
void release_file_part(FilePart* part);

#endif
