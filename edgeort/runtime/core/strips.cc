// Runs streams: strips of the last stage's lines, and before each what it reads.
#include <string.h>

#include "shares.h"
#include "stages.h"

namespace edgeort {
namespace {

// Strips computed by one thread.
class Worker {
 public:
  Worker(Model& m, const Stream& s, u8* scratch) : m_(m), s_(s), scratch_(scratch) {}

  // Goes to lines of image n, of which the first, or backwards the last, comes next.
  void begin(i64 n, Span lines) {
    n_ = n;
    const i64 next = s_.backwards ? lines.last - 1 : lines.first;
    lines = {next, next + 1};
    for (int i = s_.count - 1; i >= 0; --i) {
      const Stream::Stage& stage = s_.stages[i];
      lines = whole(m_, s_, i, lines);
      next_[i] = s_.backwards ? lines.last : lines.first;
      if (i == s_.count - 1) {
        out_[i] = Lines::of(m_.tensor_out(stage.node, 0), n);
      } else {
        char* ring = reinterpret_cast<char*>(scratch_ + stage.offset);
        out_[i] = {ring + stage.left * stage.pixel, stage.line(), stage.ring, stage.pixel, stage.left, stage.right};
        clear_borders(stage, ring);
      }
      if (i > 0) lines = read_by(m_, s_, i, s_.backwards ? Span{next_[i] - 1, next_[i]} : Span{next_[i], next_[i] + 1});
    }
    const Stream::Stage& stage = s_.stages[0];
    in_ = ops(m_, stage).reach ? Lines::of(m_.tensor_in(stage.node, 0), n) : Lines{};  // else no image: of any rank
  }

  // The last stage's lines up to the last of these, or backwards down to the first.
  void advance(Span lines) { advance(s_.count - 1, lines); }

 private:
  // Makes stage i's lines so far, a step at a time, each after what it reads.
  void advance(int i, Span lines) {
    lines = whole(m_, s_, i, lines);
    while (s_.backwards ? next_[i] > lines.first : next_[i] < lines.last) {
      const Span step = s_.backwards ? step_up(i, lines.first) : step_down(i, lines.last);
      if (i > 0) advance(i - 1, read_by(m_, s_, i, step));
      const Stream::Stage& stage = s_.stages[i];
      ops(m_, stage).run(Run(m_, stage.node), i > 0 ? out_[i - 1] : in_, out_[i], n_, step, scratch_ + s_.scratch_offset);
      next_[i] = s_.backwards ? step.first : step.last;
    }
  }

  // What one call makes. Its lines, or those of each strip, lie one after the other in the ring.
  Span step_down(int i, i64 last) const {
    const Stream::Stage& stage = s_.stages[i];
    const i64 next = next_[i], end = min_of(last, next + stage.step);
    return {next, ops(m_, stage).strip > 1 ? end : min_of(end, next + out_[i].ring - next % out_[i].ring)};
  }
  Span step_up(int i, i64 first) const {
    const Stream::Stage& stage = s_.stages[i];
    const i64 next = next_[i], strip = ops(m_, stage).strip, begin = max_of(first, round_up(max_of(0, next - stage.step), strip));
    return {strip > 1 ? begin : max_of(begin, round_down(next - 1, out_[i].ring)), next};
  }

  static void clear_borders(const Stream::Stage& stage, char* ring) {
    const size_t left = static_cast<size_t>(stage.left * stage.pixel), right = static_cast<size_t>(stage.right * stage.pixel);
    for (i64 y = 0; y < stage.ring && left + right > 0; ++y) {
      char* line = ring + y * stage.line();
      memset(line, stage.outside, left);
      memset(line + (stage.left + stage.width) * stage.pixel, stage.outside, right);
    }
  }

  Model& m_;
  const Stream& s_;
  u8* scratch_;
  i64 n_;
  Lines in_;
  Lines out_[kMaxStages];
  i64 next_[kMaxStages];
};

}  // namespace

void run_stream(Model& model, const Stream& stream) {
  const Stream::Stage& last = stream.stages[stream.count - 1];
  const Run run(model, last.node);
  const int threads = stream.one_thread ? 1 : run.threads();
  const i64 strip = ops(model, last).strip, strips = ceil_div(last.height, strip);  // threads share whole ones
  Shares shares(threads, stream.batch, strips, max_of(1, kLeastLines / strip));
  const auto work = [&](int thread, void* scratch) {
    Worker worker(model, stream, static_cast<u8*>(scratch));
    Shares::Piece before = {-1, 0, 0}, piece;
    for (; !(piece = shares.take(thread, last.step / strip)).empty(); before = piece) {
      Span lines = {piece.first * strip, piece.last * strip};
      if (stream.backwards) lines = {(strips - piece.last) * strip, (strips - piece.first) * strip};
      lines.last = min_of(last.height, lines.last);
      if (!piece.follows(before)) worker.begin(stream.backwards ? stream.batch - 1 - piece.image : piece.image, lines);
      worker.advance(lines);
    }
  };
  if (stream.one_thread) return work(0, run.scratch());
  run.parallel(min_of(threads, shares.parts()), [&](i64, int thread) { work(thread, run.thread_scratch(thread)); });
}

}  // namespace edgeort
