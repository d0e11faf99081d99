// NonMaxSuppression: the result's size depends on the data, so all of the work is done while preparing.
#include "gather.h"
#include "order.h"

namespace edgeort {
namespace {

struct Box {
  f32 y0, x0, y1, x1;
};

f32 least(f32 a, f32 b) { return b < a ? b : a; }
f32 most(f32 a, f32 b) { return a < b ? b : a; }

// Corners in any order, or (flag) centre and size: x, y, width, height.
Box box_at(const f32* b, bool centre) {
  if (centre) return {b[1] - b[3] / 2, b[0] - b[2] / 2, b[1] + b[3] / 2, b[0] + b[2] / 2};
  return {least(b[0], b[2]), least(b[1], b[3]), most(b[0], b[2]), most(b[1], b[3])};
}

bool overlap(const Box& a, const Box& b, f32 limit) {
  const f32 height = least(a.y1, b.y1) - most(a.y0, b.y0), width = least(a.x1, b.x1) - most(a.x0, b.x0);
  if (!(height > 0 && width > 0)) return false;
  const f32 both = height * width;
  const f32 all = (a.y1 - a.y0) * (a.x1 - a.x0) + (b.y1 - b.y0) * (b.x1 - b.x0) - both;
  return all > 0 && both / all > limit;
}

constexpr i64 kMostBoxes = 0xffffffff;

struct Search {
  const f32 *boxes, *scores;
  i64 batches, classes, n, limit;
  f32 iou, score;
  bool threshold, centre;
};

// Work space of n positions in a heap, and of `limit` boxes.
struct Room {
  u64* heap;
  Box* boxes;
};

// Keeps the boxes of one class, best first; returns how many. Of the heap as many come off as are looked at.
i64 keep(const Search& s, const f32* boxes, const f32* scores, const Room& room, i64* kept) {
  const auto after = [](u64 a, u64 b) { return a > b; };
  i64 left = 0, found = 0;
  for (i64 i = 0; i < s.n; ++i) {
    if (s.threshold && !(scores[i] > s.score)) continue;
    room.heap[left++] = (~key_of(DType::f32, scores, i) & 0xffffffffu) << 32 | static_cast<u64>(i);
  }
  make_heap(room.heap, left, after);
  while (left > 0 && found < s.limit) {
    const i64 at = static_cast<i64>(room.heap[0] & 0xffffffffu);
    room.heap[0] = room.heap[--left];
    if (left > 0) sift(room.heap, left, 0, after);
    const Box box = box_at(boxes + 4 * at, s.centre);
    bool free = true;
    for (i64 k = 0; free && k < found; ++k) free = !overlap(box, room.boxes[k], s.iou);
    if (!free) continue;
    room.boxes[found] = box;
    kept[found++] = at;
  }
  return found;
}

// One float32 (or int64) operand, or its default.
template <class T>
Status scalar(Prepare& p, int input, DType dtype, T* out) {
  if (!p.has(input)) return Status::ok;
  if (p.in(input).dtype != dtype || count(p.in(input)) != 1) return p.fail("input %d must be one number", input);
  const void* data;
  EDGEORT_TRY(value_of(p, input, &data));
  *out = *static_cast<const T*>(data);
  return Status::ok;
}

Status operands(Prepare& p, Search* s) {
  EDGEORT_TRY(need(p, 2, 1));
  const Tensor &boxes = p.in(0), &scores = p.in(1);
  bool fits = boxes.rank == 3 && scores.rank == 3 && boxes.dtype == DType::f32 && scores.dtype == DType::f32;
  fits = fits && boxes.dims[2] == 4 && boxes.dims[0] == scores.dims[0] && boxes.dims[1] == scores.dims[2];
  if (!fits) return p.fail("its boxes must be float32 [batch, n, 4], its scores float32 [batch, classes, n]");
  *s = {nullptr, nullptr, scores.dims[0], scores.dims[1], scores.dims[2], 0, 0.0f, 0.0f, p.has(4), p.params<AxisParams>().flag != 0};
  EDGEORT_TRY(scalar(p, 2, DType::i64, &s->limit));
  EDGEORT_TRY(scalar(p, 3, DType::f32, &s->iou));
  EDGEORT_TRY(scalar(p, 4, DType::f32, &s->score));
  s->limit = max_of(0, min_of(s->limit, s->n));
  if (s->n > kMostBoxes) return p.fail("it has more than 2^32 boxes");
  const void* data;
  EDGEORT_TRY(value_of(p, 0, &data));
  s->boxes = static_cast<const f32*>(data);
  EDGEORT_TRY(value_of(p, 1, &data));
  s->scores = static_cast<const f32*>(data);
  return Status::ok;
}

Status prepare(Prepare& p) {
  Search s;
  EDGEORT_TRY(operands(p, &s));
  const i64 groups = s.limit ? s.batches * s.classes : 0;
  const i64 each = static_cast<i64>(sizeof(i64)), box = static_cast<i64>(sizeof(Box));
  i64* kept = static_cast<i64*>(state_of(p, (groups * (s.limit + 1) + s.n) * each + s.limit * box));
  if (!kept) return p.out_of_memory();
  i64* numbers = kept + groups * s.limit;
  auto* heap = reinterpret_cast<u64*>(numbers + groups);
  const Room room = {heap, reinterpret_cast<Box*>(heap + s.n)};
  i64 dims[2] = {0, 3};
  for (i64 g = 0; g < groups; ++g) {
    numbers[g] = keep(s, s.boxes + g / s.classes * s.n * 4, s.scores + g * s.n, room, kept + g * s.limit);
    dims[0] += numbers[g];
  }
  EDGEORT_TRY(p.set(0, DType::i64, dims, 2));
  i64* out = static_cast<i64*>(p.known(0));
  if (!out) return p.out_of_memory();
  for (i64 g = 0; g < groups; ++g) {
    for (i64 k = 0; k < numbers[g]; ++k, out += 3) out[0] = g / s.classes, out[1] = g % s.classes, out[2] = kept[g * s.limit + k];
  }
  return Status::ok;
}

void nothing(Run&) {}

}  // namespace

extern const OpDef kNonMaxSuppression;
const OpDef kNonMaxSuppression = {"NonMaxSuppression", sizeof(AxisParams), prepare, nothing};

}  // namespace edgeort
