/* Frames: from a camera behind V4L2, a PPM file, or raw RGB bytes. */
#ifndef FRAMES_H
#define FRAMES_H

#include <stdint.h>
#include <stdio.h>

typedef struct {
  int width, height;
  uint8_t* rgb; /* 3 bytes a pixel, row by row */
} frame;

typedef struct {
  const char* path;
  int camera; /* its file descriptor, or -1 */
  FILE* file;
  int is_raw; /* of the given size; else PPM */
  frame last;
  struct {
    uint8_t* data;
    size_t size;
  } buffers[4];
} frames;

/* Opens /dev/videoN, a .ppm file, or, where width is not 0, raw RGB frames of that size ("-": standard input). 0, or 1 with a
 * message on stderr. */
int frames_open(frames* source, const char* path, int width, int height);
/* The next frame, which holds until the next call; NULL at the end. */
const frame* frames_next(frames* source);
void frames_close(frames* source);

#endif
