/* What a camera sees, on a Raspberry Pi: the classes of every frame, from a bundle of an image classifier.
 *
 *   cmake -B build -DCMAKE_PREFIX_PATH=BUNDLE && cmake --build build     # or the pkg-config line in README.md
 *   build/classify BUNDLE/model.plan /dev/video0 --labels labels.txt
 *   build/classify BUNDLE/model.plan picture.ppm
 *   rpicam-vid ... | build/classify BUNDLE/model.plan - --raw 640x480
 *
 * The model takes float32 [1, 3, h, w] or [1, h, w, 3], (x - mean) / std of the middle square of the frame; or, built with the steps
 * before it, the frame itself, uint8 [h, w, 3]. Its first output has a value a class. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "edgeort.h"
#include "frames.h"

enum { kTop = 3, kMostLabels = 100000, kMostSide = 1 << 14 };

typedef struct {
  int width, height;
  int is_nhwc;
  int takes_frames; /* the model takes whole frames, uint8 [h, w, 3] */
  float mean, std;
  float* data;
} picture;

static int fail(const char* what) {
  fprintf(stderr, "%s\n", what);
  return 1;
}

/* The input's size and layout, and memory for it. */
static int picture_of(edgeort_model* model, picture* p) {
  edgeort_tensor x;
  if (edgeort_input_count(model) != 1 || edgeort_input(model, 0, &x)) return fail("the model has more inputs than a picture");
  p->takes_frames = x.dtype == EDGEORT_U8 && x.rank == 3 && x.dims[2] == 3;
  if (p->takes_frames) return 0;
  if (x.rank != 4 || x.dtype != EDGEORT_F32) return fail("the model's input is no picture: float32 [1, 3, h, w] or [1, h, w, 3]");
  p->is_nhwc = x.dims[3] == 3 && x.dims[1] != 3;
  const int64_t height = x.dims[p->is_nhwc ? 1 : 2], width = x.dims[p->is_nhwc ? 2 : 3];
  if (x.dims[p->is_nhwc ? 3 : 1] != 3) return fail("the model's input has no three channels: float32 [1, 3, h, w] or [1, h, w, 3]");
  if (height < 1 || width < 1) return fail("the model's input has no size of its own");
  if (height > kMostSide || width > kMostSide) return fail("the model's input is too large");
  p->height = (int)height, p->width = (int)width;
  x.dims[0] = 1;
  x.data = p->data = malloc((size_t)p->width * (size_t)p->height * 3 * sizeof(float));
  x.bytes = 0;
  if (!p->data) return fail("out of memory");
  return edgeort_set_input(model, 0, &x) ? fail(edgeort_last_error(model)) : 0;
}

/* The middle square of the frame at the input's size: each pixel from its four nearest, by their distances. */
static void fill(picture* p, const frame* f) {
  const int side = f->width < f->height ? f->width : f->height;
  const int left = (f->width - side) / 2, top = (f->height - side) / 2;
  for (int y = 0; y < p->height; ++y) {
    const float sy = fminf(fmaxf(((float)y + 0.5f) * (float)side / (float)p->height - 0.5f, 0), (float)(side - 1));
    const int y0 = (int)sy, y1 = y0 + 1 < side ? y0 + 1 : y0;
    for (int x = 0; x < p->width; ++x) {
      const float sx = fminf(fmaxf(((float)x + 0.5f) * (float)side / (float)p->width - 0.5f, 0), (float)(side - 1));
      const int x0 = (int)sx, x1 = x0 + 1 < side ? x0 + 1 : x0;
      const float fx = sx - (float)x0, fy = sy - (float)y0;
      for (int c = 0; c < 3; ++c) {
        const uint8_t* rgb = f->rgb + c;
        const long above = (long)(top + y0) * f->width + left, below = (long)(top + y1) * f->width + left;
        const float a = (1 - fx) * (float)rgb[3 * (above + x0)] + fx * (float)rgb[3 * (above + x1)];
        const float b = (1 - fx) * (float)rgb[3 * (below + x0)] + fx * (float)rgb[3 * (below + x1)];
        const int at = p->is_nhwc ? (y * p->width + x) * 3 + c : (c * p->height + y) * p->width + x;
        p->data[at] = ((1 - fy) * a + fy * b - p->mean) / p->std;
      }
    }
  }
}

/* The frame as it is, for a model that was built with the steps before it. */
static int set_frame(edgeort_model* model, const frame* f) {
  edgeort_tensor x;
  edgeort_input(model, 0, &x);
  x.dims[0] = f->height, x.dims[1] = f->width;
  x.data = f->rgb;
  x.bytes = 0;
  return edgeort_set_input(model, 0, &x) ? fail(edgeort_last_error(model)) : 0;
}

/* A line of the file is a class; NULL without a file. The text is freed by nobody: it lasts as long as the program. */
static const char** read_labels(const char* path) {
  static const char* labels[kMostLabels];
  FILE* file = fopen(path, "r");
  char line[512];
  if (!file) return NULL;
  for (int i = 0; i < kMostLabels && fgets(line, sizeof line, file); ++i) {
    line[strcspn(line, "\r\n")] = 0;
    char* text = malloc(strlen(line) + 1);
    if (text) labels[i] = strcpy(text, line);
  }
  fclose(file);
  return labels;
}

static void print_top(const float* values, int n, const char** labels) {
  int top[kTop] = {-1, -1, -1};
  double sum = 0;
  for (int i = 0; i < n; ++i) {
    for (int k = 0; k < kTop; ++k) {
      if (top[k] >= 0 && values[i] <= values[top[k]]) continue;
      memmove(top + k + 1, top + k, (size_t)(kTop - k - 1) * sizeof *top);
      top[k] = i;
      break;
    }
  }
  for (int i = 0; i < n; ++i) sum += exp(values[i] - values[top[0]]);
  for (int k = 0; k < kTop && top[k] >= 0; ++k) {
    const char* label = labels && top[k] < kMostLabels && labels[top[k]] ? labels[top[k]] : "";
    printf("%s%d %s%s%.4f", k ? "  " : "", top[k], label, *label ? " " : "", exp(values[top[k]] - values[top[0]]) / sum);
  }
}

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int classify(edgeort_model* model, picture* p, frames* source, const char** labels) {
  for (const frame* f; (f = frames_next(source));) {
    if (!p->takes_frames) fill(p, f);
    if (p->takes_frames && set_frame(model, f)) return 1;
    const double start = now_ms();
    if (edgeort_run(model)) return fail(edgeort_last_error(model));
    const double ms = now_ms() - start;
    edgeort_tensor y;
    edgeort_output(model, 0, &y);
    if (y.dtype != EDGEORT_F32) return fail("the model's first output is not float32");
    print_top(y.data, (int)(y.bytes / sizeof(float)), labels);
    printf("  %.1f ms\n", ms);
    fflush(stdout);
  }
  return 0;
}

int main(int argc, char** argv) {
  if (argc < 3) return fail("classify MODEL.plan SOURCE [--raw WxH] [--labels FILE] [--mean M] [--std S] [--threads N]");
  picture p = {.mean = 127, .std = 128};
  edgeort_options options = {0};
  const char** labels = NULL;
  int width = 0, height = 0;
  for (int i = 3; i + 1 < argc; i += 2) {
    if (!strcmp(argv[i], "--raw") && sscanf(argv[i + 1], "%dx%d", &width, &height) == 2) continue;
    if (!strcmp(argv[i], "--labels") && (labels = read_labels(argv[i + 1]))) continue;
    if (!strcmp(argv[i], "--mean") && sscanf(argv[i + 1], "%f", &p.mean) == 1) continue;
    if (!strcmp(argv[i], "--std") && sscanf(argv[i + 1], "%f", &p.std) == 1) continue;
    if (!strcmp(argv[i], "--threads") && sscanf(argv[i + 1], "%d", &options.threads) == 1) continue;
    fprintf(stderr, "%s %s: this is no option, or its file cannot be read\n", argv[i], argv[i + 1]);
    return 2;
  }
  char error[EDGEORT_ERROR_BYTES];
  edgeort_model* model = edgeort_open(argv[1], &options, error);
  if (!model) return fail(error);
  frames source;
  const int status = picture_of(model, &p) || frames_open(&source, argv[2], width, height) || classify(model, &p, &source, labels);
  if (!status) frames_close(&source);
  edgeort_close(model);
  free(p.data);
  return status;
}
