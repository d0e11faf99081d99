#include "stream.h"

#include "shares.h"
#include "stages.h"

namespace edgeort {
namespace {

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
constexpr size_t kRingBytes = 48 * 1024;
// Rows of pixels that keep register tiles whole.
constexpr i64 kEnoughPixels = 112;

// Fewer than so many in a strip, as where lines are of a pixel or two, cost more than the tensor between takes.
constexpr i64 kLeastPixels = 32;

// Of a node that is a stream by itself: that much of both the tensors beside it, else they stay apart; and a call makes this part of an
// image's lines, since that many more lie apart, but so many pixels at least, as it reads all weights.
constexpr size_t kWorthLines = 16 * 1024;
constexpr i64 kParts = 8, kPixelsAtOnce = 14;

const Economy& economy(const Model& m) { return kLadder[m.economy]; }

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

// Whether the node, by itself, may write over the image that it reads.
bool overwrites(const Model& m, u32 node) {
  for (const i32 reuse : m.tensors[m.output(node, 0)].reuse) {
    if (reuse >= 0 && reuse == m.input(node, 0)) return true;
  }
  return false;
}

// The node that alone reads what `node` makes, as its image, and may be joined to it; or -1.
i32 joinable(Model& m, const Segment& segment, u32 node) {
  const i32 out = m.plan.node_outputs(m.record(node))[0];
  const TensorState& t = m.tensors[out];
  if (t.uses != 1 || t.slice.root >= 0 || t.last_use >= static_cast<i32>(segment.end) || bytes(t.tensor) < economy(m).small_tensor)
    return -1;
  const u32 next = static_cast<u32>(t.last_use);
  if (m.plan.node_inputs(m.record(next))[0] != out || !streamable(m, next) || !m.nodes[next].op->stream->reach) return -1;
  if ((m.nodes[node].op->stream->slower || m.nodes[next].op->stream->slower) && m.economy == 0) return -1;
  if (m.economy == 0 && economy(m).most_lines * m.tensor_out(next, 0).dims[2] < kLeastPixels) return -1;
  const i64 strip = m.nodes[node].op->stream->strip, next_strip = m.nodes[next].op->stream->strip;
  // A ring of most lines saves little memory, and every thread would compute them all for its part.
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

// The node that is joined to it: not one that lies over all of its image, and so needs no ring of it, unless its own result is streamed in
// turn.
i32 follower(Model& m, const Segment& segment, u32 node) {
  const i32 next = joinable(m, segment, node);
  return next >= 0 && overwrites(m, static_cast<u32>(next)) && joinable(m, segment, static_cast<u32>(next)) < 0 ? -1 : next;
}

// Whether the node is a stream by itself: one thread goes through its lines, and nobody reads its image later.
bool rolls(Model& m, const Segment& segment, u32 node) {
  const StreamOps& own = *m.nodes[node].op->stream;
  if (!own.alone || !own.reach || (m.pool->threads() > 1 && !economy(m).one_thread)) return false;
  const i32 image = m.input(node, 0);
  const TensorState &x = m.tensors[image], &y = m.tensors[m.output(node, 0)];
  const bool own_memory = x.producer >= static_cast<i32>(segment.begin) && !x.value_known && x.slice.root < 0 && y.slice.root < 0;
  return own_memory && !overwrites(m, node) && x.last_use == static_cast<i32>(node) &&
         min_of(bytes(x.tensor), bytes(y.tensor)) >= kWorthLines;
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

// Lines of the last stage that one call makes.
i64 lines_at_once(const Model& m, Stream& s) {
  const Stream::Stage& last = s.stages[s.count - 1];
  const i64 strip = ops(m, last).strip;
  if (s.count == 1) {
    const i64 worth = min_of(last.height, ceil_div(kPixelsAtOnce, last.width));
    return round_up(max_of(ceil_div(last.height, kParts), worth), strip);
  }
  i64 lines = strip, enough = kEnoughPixels;
  for (int i = 0; i < s.count; ++i) enough = max_of(enough, ops(m, s.stages[i]).enough);
  while (lines < economy(m).most_lines && lines * last.width < enough && size_rings(m, s, lines + strip) <= kRingBytes) lines += strip;
  return lines;
}

void commit(Model& m, Stream& s) {
  const Stream::Stage& last = s.stages[s.count - 1];
  s.scratch_offset = size_rings(m, s, lines_at_once(m, s));
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

// Whether the last lines of the image that `node` reads are what was made last: they may still be in cache.
bool is_forwards(const Model& m, u32 node) {
  const i32 image = m.input(node, 0), producer = image < 0 ? -1 : m.tensors[image].producer;
  return producer >= 0 && !m.nodes[producer].backwards;
}

}  // namespace

bool plan_streams(Model& model, Segment& segment) {
  for (u32 node = segment.begin; node < segment.end; ++node) {
    NodeState& state = model.nodes[node];
    if (state.stream || state.skipped) continue;
    if (!streamable(model, node) || (follower(model, segment, node) < 0 && !rolls(model, segment, node))) {
      state.backwards = state.op->turns && is_forwards(model, node);
      continue;
    }
    auto* stream = static_cast<Stream*>(segment.memory.take(sizeof(Stream)));
    if (!stream) return false;
    for (i32 next = static_cast<i32>(node); next >= 0 && stream->count < kMaxStages;
         next = follower(model, segment, static_cast<u32>(next))) {
      add_stage(model, *stream, static_cast<u32>(next));
    }
    commit(model, *stream);
    // Of more threads, each has the part of the image that it made.
    stream->backwards = (model.pool->threads() == 1 || stream->one_thread) && is_forwards(model, node);
    model.nodes[stream->stages[stream->count - 1].node].backwards = stream->backwards;
  }
  return true;
}

}  // namespace edgeort
