#include "frames.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { kBuffers = 4, kMostSide = 1 << 14 };

static int fail(const char* path, const char* what) {
  fprintf(stderr, "%s: %s\n", path, what);
  return 1;
}

static int resize(frame* f, int width, int height) {
  if (width < 1 || height < 1 || width > kMostSide || height > kMostSide) return 1;
  if (f->rgb && f->width == width && f->height == height) return 0;
  free(f->rgb);
  f->width = width, f->height = height;
  f->rgb = malloc((size_t)width * (size_t)height * 3);
  return f->rgb == NULL;
}

static int control(int camera, unsigned long request, void* argument) {
  int status;
  do status = ioctl(camera, request, argument);
  while (status < 0 && errno == EINTR);
  return status;
}

/* Asks for YUYV, which every USB camera has, at about the given size, and starts the stream. */
static int camera_open(frames* s, int width, int height) {
  s->camera = open(s->path, O_RDWR | O_CLOEXEC);
  if (s->camera < 0) return fail(s->path, strerror(errno));
  struct v4l2_format format = {.type = V4L2_BUF_TYPE_VIDEO_CAPTURE};
  format.fmt.pix.width = (unsigned)width, format.fmt.pix.height = (unsigned)height;
  format.fmt.pix.pixelformat = V4L2_PIX_FMT_YUYV;
  if (control(s->camera, VIDIOC_S_FMT, &format) < 0) return fail(s->path, "this is no camera of frames");
  if (format.fmt.pix.pixelformat != V4L2_PIX_FMT_YUYV) return fail(s->path, "the camera has no YUYV");
  if (format.fmt.pix.bytesperline != format.fmt.pix.width * 2) return fail(s->path, "the camera leaves room between rows");
  if (resize(&s->last, (int)format.fmt.pix.width, (int)format.fmt.pix.height)) return fail(s->path, "out of memory");
  struct v4l2_requestbuffers request = {.count = kBuffers, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP};
  if (control(s->camera, VIDIOC_REQBUFS, &request) < 0 || request.count > kBuffers) return fail(s->path, "no buffers");
  for (unsigned i = 0; i < request.count; ++i) {
    struct v4l2_buffer buffer = {.index = i, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP};
    if (control(s->camera, VIDIOC_QUERYBUF, &buffer) < 0) return fail(s->path, "no buffers");
    void* data = mmap(NULL, buffer.length, PROT_READ | PROT_WRITE, MAP_SHARED, s->camera, buffer.m.offset);
    if (data == MAP_FAILED) return fail(s->path, "no buffers");
    s->buffers[i].data = data, s->buffers[i].size = buffer.length;
    if (control(s->camera, VIDIOC_QBUF, &buffer) < 0) return fail(s->path, "no buffers");
  }
  int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
  return control(s->camera, VIDIOC_STREAMON, &type) < 0 ? fail(s->path, "the camera does not start") : 0;
}

static uint8_t byte(int value) { return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value); }

/* BT.601 in video range, as cameras have it; two pixels share their colour. */
static void from_yuyv(const uint8_t* from, frame* to) {
  uint8_t* rgb = to->rgb;
  for (int i = 0; i < to->width / 2 * to->height; ++i, from += 4) {
    const int u = from[1] - 128, v = from[3] - 128;
    for (int k = 0; k < 2; ++k, rgb += 3) {
      const int y = 298 * (from[2 * k] - 16) + 128;
      rgb[0] = byte((y + 409 * v) >> 8);
      rgb[1] = byte((y - 100 * u - 208 * v) >> 8);
      rgb[2] = byte((y + 516 * u) >> 8);
    }
  }
}

static const frame* camera_next(frames* s) {
  struct v4l2_buffer buffer = {.type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP};
  if (control(s->camera, VIDIOC_DQBUF, &buffer) < 0) return NULL;
  from_yuyv(s->buffers[buffer.index].data, &s->last);
  return control(s->camera, VIDIOC_QBUF, &buffer) < 0 ? NULL : &s->last;
}

/* A number of a PPM header; comments begin with #. -1: there is none. */
static int number(FILE* file) {
  int c = getc(file), value = -1;
  while (c == '#' || isspace(c)) {
    while (c == '#') c = getc(file) == '\n' || feof(file) ? '\n' : '#';
    c = getc(file);
  }
  for (; c >= '0' && c <= '9' && value < kMostSide * 10; c = getc(file)) value = (value < 0 ? 0 : value) * 10 + c - '0';
  return value;
}

static const frame* file_next(frames* s) {
  if (!s->is_raw) {
    if (getc(s->file) != 'P') return NULL; /* the end: a file may hold several pictures */
    const int kind = getc(s->file), width = number(s->file), height = number(s->file), most = number(s->file);
    if (kind != '6' || most != 255 || resize(&s->last, width, height)) {
      fail(s->path, "this is no PPM file (P6) of 8 bits");
      return NULL;
    }
  }
  const size_t bytes = (size_t)s->last.width * (size_t)s->last.height * 3;
  return fread(s->last.rgb, 1, bytes, s->file) == bytes ? &s->last : NULL;
}

int frames_open(frames* s, const char* path, int width, int height) {
  memset(s, 0, sizeof *s);
  s->path = path, s->camera = -1, s->is_raw = width > 0;
  if (strncmp(path, "/dev/video", 10) == 0) return camera_open(s, width ? width : 640, height ? height : 480);
  if (s->is_raw && resize(&s->last, width, height)) return fail(path, "frames of this size are too large");
  s->file = strcmp(path, "-") ? fopen(path, "rb") : stdin;
  return s->file ? 0 : fail(path, strerror(errno));
}

const frame* frames_next(frames* s) { return s->camera >= 0 ? camera_next(s) : file_next(s); }

void frames_close(frames* s) {
  for (int i = 0; i < kBuffers; ++i) {
    if (s->buffers[i].data) munmap(s->buffers[i].data, s->buffers[i].size);
  }
  if (s->camera >= 0) close(s->camera);
  if (s->file && s->file != stdin) fclose(s->file);
  free(s->last.rgb);
  memset(s, 0, sizeof *s);
  s->camera = -1;
}
