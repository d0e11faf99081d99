// Where the result of a stream may lie over what the stream reads: one thread goes through the lines, and each is written once all that
// lies there has been read.
#include "stages.h"

namespace edgeort {
namespace {

// Lines of an image that are looked at one by one before it runs: more take longer than they may.
constexpr i64 kMostLines = i64{1} << 20;

bool same_shape(const Tensor& a, const Tensor& b) {
  bool same = a.rank == b.rank;
  for (int d = 0; same && d < a.rank; ++d) same = a.dims[d] == b.dims[d];
  return same;
}

i64 line_of(const Tensor& t) { return count(t, 2, 4) * static_cast<i64>(size_of(t.dtype)); }

class Overlap {
 public:
  Overlap(const Model& m, const Stream& s, i32 tensor) : m_(m), s_(s), tensor_(tensor), x_(m.tensors[tensor].tensor), y_(result()) {}

  // Whether both are whole images, and all that the stream reads in the tensor's storage is that tensor, line by line.
  bool is_possible() const {
    if (x_.rank != 4 || x_.dims[0] != y_.dims[0] || x_.pitch || x_.capacity || y_.pitch || bytes(x_) == 0 || bytes(y_) == 0) return false;
    if (max_of(x_.dims[1], y_.dims[1]) > kMostLines) return false;
    for (int i = 0; i < s_.count; ++i) {
      const u32 node = s_.stages[i].node;
      for (int k = 0; k < m_.record(node).inputs; ++k) {
        const i32 other = m_.input(node, k);
        if (other < 0 || m_.tensors[other].storage != m_.tensors[tensor_].storage) continue;
        if (other != tensor_ || !(is_image(i, k) || is_by_lines(i, k))) return false;
      }
    }
    return true;
  }

  // Whether the last node reads each element before it writes that of the result.
  bool overwrites() const {
    for (const i32 reuse : m_.tensors[m_.output(last().node, 0)].reuse) {
      if (reuse == tensor_) return true;
    }
    return false;
  }

  // The distance nearest to where both begin, or backwards to where both end. `exact`: what the last stage reads where it writes does not
  // count.
  i64 distance(bool exact) const {
    i64 nearest = s_.backwards ? max_of(0, static_cast<i64>(bytes(x_)) - static_cast<i64>(bytes(y_))) : 0;
    for (i64 line = 0; line < last().height; ++line) {
      // A call of the last stage; those of fewer lines have read as much, or write less.
      Span call = {max_of(0, line + 1 - last().step), line + 1};
      if (s_.backwards) call = {line, min_of(last().height, line + last().step)};
      const i64 read = unread(call, exact);
      for (i64 image = 0; image < y_.dims[0]; image += max_of(1, y_.dims[0] - 1)) {  // it is even: the first and the last
        const i64 to = (image * y_.dims[1] + (s_.backwards ? call.first : call.last)) * line_of(y_);
        const i64 bound = (image * x_.dims[1] + read) * line_of(x_) - to;
        nearest = s_.backwards ? max_of(nearest, bound) : min_of(nearest, bound);
      }
    }
    constexpr i64 kWhole = kAlignment;
    return s_.backwards ? round_up(nearest, kWhole) : -round_up(-nearest, kWhole);
  }

  // What begins there begins within the other.
  bool overlaps(i64 distance) const { return distance < static_cast<i64>(bytes(x_)) && -distance < static_cast<i64>(bytes(y_)); }

 private:
  const Stream::Stage& last() const { return s_.stages[s_.count - 1]; }
  const Tensor& result() const { return m_.tensor_out(last().node, 0); }
  bool is_image(int i, int k) const { return i == 0 && k == 0 && ops(m_, s_.stages[0]).reach; }
  bool is_by_lines(int i, int k) const {
    const u32 node = s_.stages[i].node;
    return k < NodeState::kLineOperands && m_.nodes[node].line_operands >> k & 1 && same_shape(x_, m_.tensor_out(node, 0));
  }

  // The tensor's first line that is still to be read while the last stage makes those lines, or backwards the line behind the last one.
  i64 unread(Span call, bool exact) const {
    i64 found = s_.backwards ? 0 : x_.dims[1];
    // Of each stage in turn, the line that it makes next.
    i64 next = s_.backwards ? call.last : call.first;
    for (int i = s_.count - 1; i >= 0; --i) {
      if (!(exact && i == s_.count - 1)) found = s_.backwards ? max_of(found, read(i, next)) : min_of(found, read(i, next));
      if (i == 0) break;
      const i64 made = i < s_.count - 1 ? next : s_.backwards ? call.first : call.last;
      next = before(i, made);
    }
    return found;
  }

  // The line that stage i - 1 makes next when stage i has made all lines before `made`, or backwards those from there on.
  i64 before(int i, i64 made) const {
    const i64 height = s_.stages[i - 1].height;
    if (made == (s_.backwards ? s_.stages[i].height : 0)) return s_.backwards ? height : 0;
    const Span read = read_by(m_, s_, i, s_.backwards ? Span{made, made + 1} : Span{made - 1, made});
    if (read.first == read.last && read.first == (s_.backwards ? height : 0)) return read.first;  // beside the image: nothing is made yet
    return s_.backwards ? whole(m_, s_, i - 1, read).first : whole(m_, s_, i - 1, read).last;
  }

  // The tensor's first line that stage i still reads, which makes line `next` next (backwards: which made that one last).
  i64 read(int i, i64 next) const {
    const u32 node = s_.stages[i].node;
    const i64 height = x_.dims[1];
    i64 found = s_.backwards ? 0 : height;
    if (next == (s_.backwards ? 0 : s_.stages[i].height)) return found;
    for (int k = 0; k < m_.record(node).inputs; ++k) {
      if (m_.input(node, k) != tensor_) continue;
      Span lines = s_.backwards ? Span{next - 1, next} : Span{next, next + 1};
      if (is_by_lines(i, k)) found = s_.backwards ? max_of(found, lines.last) : min_of(found, lines.first);
      if (!is_image(i, k)) continue;
      lines = ops(m_, s_.stages[0]).reach(state(m_, s_.stages[0]), lines);
      found = s_.backwards ? max_of(found, min_of(height, lines.last)) : min_of(found, max_of(0, lines.first));
    }
    return found;
  }

  const Model& m_;
  const Stream& s_;
  const i32 tensor_;
  const Tensor &x_, &y_;
};

}  // namespace

bool distance_over(const Model& model, const Stream& stream, i32 tensor, i64* distance) {
  const Overlap overlap(model, stream, tensor);
  if ((model.pool->threads() > 1 && !stream.one_thread) || !overlap.is_possible()) return false;
  *distance = overlap.distance(overlap.overwrites());
  if (*distance != 0 && overlap.overwrites()) *distance = overlap.distance(false);
  return overlap.overlaps(*distance);
}

}  // namespace edgeort
