#include "stream.h"

#include <string.h>

#include "model.h"
#include "shares.h"

namespace edgeort {
namespace {

constexpr int kMaxStages = 8;
// What is streamed, and how: the fastest way first, then with ever less memory.
struct Economy {
  size_t small_tensor;  // bytes: tensors below are not streamed
  bool any_weights;     // else weights that each strip reads again must be small beside the tensor
  bool idle_threads;    // else there must be lines for all of them
  i64 most_lines;       // of a strip
  bool one_thread;      // runs it: each would have rings of its own
};
constexpr Economy kLadder[] = {
    {128 * 1024, false, false, 8, false},  // smaller tensors stay in cache by themselves
    {128 * 1024, false, true, 1, false},
    {0, false, true, 1, false},
    {0, true, true, 1, true},
};
static_assert(sizeof(kLadder) / sizeof(kLadder[0]) == kEconomies);

// Rings of one thread that stay in a small core's share of L2.
constexpr size_t kRingBytes = 192 * 1024;
// Of a thread's part of an image: neighbours compute the lines at their seam twice.
constexpr i64 kLeastLines = 4;
// Rows of pixels that keep register tiles whole.
constexpr i64 kEnoughPixels = 112;

}  // namespace

struct Stream {
  struct Stage {
    u32 node;
    i64 height, width;  // of its output
    i64 step;           // output lines of one call
    i64 ring;           // output lines kept; the last stage writes its tensor
    i64 pixel;          // bytes
    i64 left, right;    // columns beside the image that the next stage reads
    u8 outside;         // every byte of those
    u64 offset;         // of its ring in the scratch
    i64 line() const { return (left + width + right) * pixel; }
  };
  Stage stages[kMaxStages];
  int count;
  i64 batch;
  u64 scratch_offset;
  bool one_thread;
};

namespace {

const Economy& economy(const Model& m) { return kLadder[m.economy]; }

const StreamOps& ops(const Model& m, const Stream::Stage& stage) { return *m.nodes[stage.node].op->stream; }
const void* state(const Model& m, const Stream::Stage& stage) { return m.nodes[stage.node].state; }

bool streamable(Model& m, u32 node) {
  const NodeState& n = m.nodes[node];
  if (!n.op->stream || n.skipped || !n.state || m.record(node).outputs != 1) return false;
  const i32 out = m.plan.node_outputs(m.record(node))[0];
  return out >= 0 && m.tensors[out].tensor.rank == 4 && count(m.tensors[out].tensor, 0, 2) <= Shares::kMostLines &&
         n.op->stream->can(n.state);
}

size_t weight_bytes(Model& m, u32 node) {
  size_t total = 0;
  for (u32 k = 0; k < m.record(node).inputs; ++k) {
    const i32 t = m.plan.node_inputs(m.record(node))[k];
    if (t >= 0 && static_cast<Kind>(m.plan.tensors[t].kind) == Kind::constant) total += bytes(m.tensors[t].tensor);
  }
  return total;
}

// The node that alone reads what `node` makes, as its image, and may be joined to it; or -1.
i32 follower(Model& m, const Segment& segment, u32 node) {
  const i32 out = m.plan.node_outputs(m.record(node))[0];
  const TensorState& t = m.tensors[out];
  if (t.uses != 1 || t.slice.root >= 0 || t.last_use >= static_cast<i32>(segment.end) || bytes(t.tensor) < economy(m).small_tensor)
    return -1;
  const u32 next = static_cast<u32>(t.last_use);
  if (m.plan.node_inputs(m.record(next))[0] != out || !streamable(m, next) || !m.nodes[next].op->stream->reach) return -1;
  // A ring of most lines saves little memory, and every thread would compute them all for its part.
  const i64 strip = m.nodes[node].op->stream->strip, next_strip = m.nodes[next].op->stream->strip;
  const Span lines = m.nodes[next].op->stream->reach(m.nodes[next].state, {0, next_strip});
  if (2 * round_up(lines.last - lines.first + strip - 1, strip) > t.tensor.dims[1]) return -1;
  // Of fewer lines, some threads would have none, or compute mostly what their neighbours do.
  const Tensor& made = m.tensor_out(next, 0);
  const i64 least = max_of(kLeastLines, 2 * (lines.last - lines.first - 1) + (strip - 1) * next_strip);
  if (!economy(m).idle_threads && made.dims[0] * (made.dims[1] / least) < m.pool->threads()) return -1;
  // Every strip reads the weights again.
  const bool pays = economy(m).any_weights || bytes(t.tensor) > 2 * (weight_bytes(m, node) + weight_bytes(m, next));
  return pays ? static_cast<i32>(next) : -1;
}

// Sizes the rings for `lines` lines of the last stage; returns their bytes.
u64 size_rings(const Model& m, Stream& s, i64 lines) {
  u64 total = 0;
  s.stages[s.count - 1].step = lines;
  for (int i = s.count - 1; i > 0; --i) {
    const Stream::Stage& to = s.stages[i];
    Stream::Stage& from = s.stages[i - 1];
    const Span one = ops(m, to).reach(state(m, to), {0, to.step}), next = ops(m, to).reach(state(m, to), {to.step, to.step + 1});
    // The last strip may begin at the last line that is read.
    const i64 strip = ops(m, from).strip;
    from.ring = min_of(from.height, round_up(one.last - one.first + strip - 1, strip));
    from.step = round_up(max_of(1, min_of(from.ring, next.first - one.first)), strip);
    from.offset = total;
    total += (static_cast<u64>(from.ring * from.line()) + kAlignment - 1) & ~(kAlignment - 1);
  }
  return total;
}

void commit(Model& m, Stream& s) {
  const Stream::Stage& last = s.stages[s.count - 1];
  const i64 strip = ops(m, last).strip;
  i64 lines = strip, enough = kEnoughPixels;
  for (int i = 0; i < s.count; ++i) enough = max_of(enough, ops(m, s.stages[i]).enough);
  while (lines < economy(m).most_lines && lines * last.width < enough && size_rings(m, s, lines + strip) <= kRingBytes) lines += strip;
  s.scratch_offset = size_rings(m, s, lines);
  u64 scratch = 0;
  for (int i = 0; i < s.count; ++i) {
    const u64 own = ops(m, s.stages[i]).scratch(state(m, s.stages[i]), s.stages[i].step);
    if (own > scratch) scratch = own;
  }
  NodeState& end = m.nodes[last.node];
  end.stream = &s;
  Prepare all(m, last.node);
  s.one_thread = economy(m).one_thread;
  all.scratch(s.one_thread ? s.scratch_offset + scratch : 0);
  all.thread_scratch(s.one_thread ? 0 : s.scratch_offset + scratch);
  for (int i = 0; i < s.count - 1; ++i) {
    const u32 node = s.stages[i].node;
    m.nodes[node].skipped = true;
    m.nodes[node].within = last.node + 1;
    m.nodes[node].scratch_bytes = m.nodes[node].thread_bytes = 0;
    m.tensors[m.plan.node_outputs(m.record(node))[0]].streamed = true;
    // What it reads must last until the stream runs.
    for (u32 k = 0; k < m.record(node).inputs; ++k) {
      const i32 t = m.plan.node_inputs(m.record(node))[k];
      if (t >= 0 && m.tensors[t].held < static_cast<i32>(last.node)) m.tensors[t].held = static_cast<i32>(last.node);
    }
  }
}

void add_stage(Model& m, Stream& s, u32 node) {
  const Tensor& out = m.tensor_out(node, 0);
  Stream::Stage& stage = s.stages[s.count++];
  stage = {node, out.dims[1], out.dims[2], 1, Lines::kWhole, out.dims[3] * static_cast<i64>(size_of(out.dtype)), 0, 0, 0, 0};
  s.batch = out.dims[0];
  if (s.count < 2) return;
  Stream::Stage& read = s.stages[s.count - 2];
  ops(m, stage).beside(state(m, stage), &read.left, &read.right, &read.outside);
}

// Strips of the last stage's lines, computed by one thread.
class Worker {
 public:
  Worker(Model& m, const Stream& s, u8* scratch) : m_(m), s_(s), scratch_(scratch) {}

  // Goes to line `first` of image n.
  void begin(i64 n, i64 first) {
    n_ = n;
    for (int i = s_.count - 1; i >= 0; --i) {
      const Stream::Stage& stage = s_.stages[i];
      first -= first % ops(m_, stage).strip;
      next_[i] = first;
      if (i == s_.count - 1) {
        out_[i] = Lines::of(m_.tensor_out(stage.node, 0), n);
      } else {
        char* ring = reinterpret_cast<char*>(scratch_ + stage.offset);
        out_[i] = {ring + stage.left * stage.pixel, stage.line(), stage.ring, stage.pixel, stage.left, stage.right};
        clear_borders(stage, ring);
      }
      if (i > 0) first = clip(i, ops(m_, stage).reach(state(m_, stage), {first, first + 1})).first;
    }
    const Stream::Stage& stage = s_.stages[0];
    in_ = ops(m_, stage).reach ? Lines::of(m_.tensor_in(stage.node, 0), n) : Lines{};  // else no image: of any rank
  }

  // The last stage's lines up to `last`.
  void advance(i64 last) { advance(s_.count - 1, last); }

 private:
  // Makes stage i's lines up to `last`, a step at a time, each after what it reads.
  void advance(int i, i64 last) {
    const Stream::Stage& stage = s_.stages[i];
    last = min_of(stage.height, round_up(last, ops(m_, stage).strip));
    while (next_[i] < last) {
      i64 end = min_of(last, next_[i] + stage.step);
      if (ops(m_, stage).strip == 1) end = min_of(end, next_[i] + out_[i].ring - next_[i] % out_[i].ring);
      if (i > 0) advance(i - 1, clip(i, ops(m_, stage).reach(state(m_, stage), {next_[i], end})).last);
      const Run run(m_, stage.node);
      ops(m_, stage).run(run, i > 0 ? out_[i - 1] : in_, out_[i], n_, {next_[i], end}, scratch_ + s_.scratch_offset);
      next_[i] = end;
    }
  }

  Span clip(int i, Span lines) const { return {max_of(0, lines.first), min_of(s_.stages[i - 1].height, lines.last)}; }

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

// Whether the first stage, when the last one has made lines up to any, reads none of those numbers any more: one thread goes down
// the image, and the first stage is always further.
bool runs_ahead(const Model& m, const Stream& s) {
  const Stream::Stage& last = s.stages[s.count - 1];
  if (!ops(m, s.stages[0]).reach || (m.pool->threads() > 1 && !s.one_thread)) return false;
  for (i64 end = 1; end <= last.height; ++end) {
    i64 made = end;
    for (int i = s.count - 1; i > 0; --i) {
      const i64 read = ops(m, s.stages[i]).reach(state(m, s.stages[i]), {made - 1, made}).last;
      made = min_of(s.stages[i - 1].height, round_up(max_of(1, read), ops(m, s.stages[i - 1]).strip));
    }
    const bool whole = made == s.stages[0].height;
    if (!whole && ops(m, s.stages[0]).reach(state(m, s.stages[0]), {made, made + 1}).first < end) return false;
  }
  return true;
}

}  // namespace

bool plan_streams(Model& model, Segment& segment) {
  for (u32 node = segment.begin; node < segment.end; ++node) {
    if (model.nodes[node].stream || !streamable(model, node) || follower(model, segment, node) < 0) continue;
    auto* stream = static_cast<Stream*>(segment.memory.take(sizeof(Stream)));
    if (!stream) return false;
    for (i32 next = static_cast<i32>(node); next >= 0 && stream->count < kMaxStages;
         next = follower(model, segment, static_cast<u32>(next))) {
      add_stage(model, *stream, static_cast<u32>(next));
    }
    commit(model, *stream);
  }
  return true;
}

bool spares(const Model& model, const Stream& stream, i32 tensor) {
  bool read = false;
  for (int i = 0; i < stream.count - 1; ++i) {
    const u32 node = stream.stages[i].node;
    for (int k = 0; k < model.record(node).inputs; ++k) {
      const i32 other = model.input(node, k);
      if (other < 0 || model.tensors[other].storage != model.tensors[tensor].storage) continue;
      if (i > 0 || k > 0 || other != tensor) return false;
      read = true;
    }
  }
  return !read || runs_ahead(model, stream);
}

void run_stream(Model& model, const Stream& stream) {
  const Stream::Stage& last = stream.stages[stream.count - 1];
  const Run run(model, last.node);
  const int threads = stream.one_thread ? 1 : run.threads();
  const i64 strip = ops(model, last).strip;  // threads share whole ones
  Shares shares(threads, stream.batch, ceil_div(last.height, strip), max_of(1, kLeastLines / strip));
  const auto work = [&](int thread, void* scratch) {
    Worker worker(model, stream, static_cast<u8*>(scratch));
    Shares::Piece before = {-1, 0, 0}, piece;
    for (; !(piece = shares.take(thread, last.step / strip)).empty(); before = piece) {
      if (!piece.follows(before)) worker.begin(piece.image, piece.first * strip);
      worker.advance(piece.last * strip);
    }
  };
  if (stream.one_thread) return work(0, run.scratch());
  run.parallel(min_of(threads, shares.parts()), [&](i64, int thread) { work(thread, run.thread_scratch(thread)); });
}

}  // namespace edgeort
