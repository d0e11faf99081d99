// Elementwise: a program over operands that broadcast together.
#include "../../core/stream.h"
#include "bound.h"

namespace edgeort {
namespace {

struct State {
  BoundProgram program;
  const q8* table;  // what the program makes of each byte, where that is faster; or null
  bool image;       // channels last, as streams have it

  // Elements between rows of the first operand.
  i64 from() const { return program.rows > 1 ? program.operand[0].row_step : program.columns; }
  // Whether neither it nor an output whose rows lie `step` apart has gaps.
  bool dense(i64 step) const { return from() == program.columns && step == program.columns; }
};

// Whether looking bytes up one by one beats the vectors of a program: many steps, or one that is a formula of many operations.
bool is_long(const BoundProgram& program) {
  const auto between = [](Uop uop, Uop first, Uop last) { return uop >= first && uop <= last; };
  bool formula = false;
  for (u32 i = 0; i < program.count; ++i) {
    const Uop uop = static_cast<Uop>(program.code[i].uop);
    formula |= between(uop, Uop::Pow, Uop::ReversePow) || between(uop, Uop::Exp, Uop::Log) || between(uop, Uop::Sin, Uop::Atanh) ||
               between(uop, Uop::Elu, Uop::Celu) || between(uop, Uop::Sigmoid, Uop::Softplus);
  }
  return formula || program.count > 5;
}

// Elements [begin, end), whole rows where they have gaps; `out` is row 0, `step` elements before row 1.
void look_up(const Run& r, const State& s, q8* out, i64 step, i64 begin, i64 end) {
  const ByteKernels& kernels = *s.program.bytes;
  const q8* x = r.in(0).as<const q8>();
  if (s.dense(step)) {
    kernels.look_up({s.table, x + begin, out + begin, 0, 0, 1, end - begin});
  } else {
    const i64 columns = s.program.columns, row = begin / columns;
    kernels.look_up({s.table, x + row * s.from(), out + row * step, s.from(), step, (end - begin) / columns, columns});
  }
}

// The broadcast shape of the operands (numpy's rule).
Status broadcast(Prepare& p, i64* dims, int* rank) {
  *rank = 0;
  for (int i = 0; i < p.inputs(); ++i) {
    if (!p.has(i)) return p.fail("operand %d is missing", i);
    if (p.in(i).rank > *rank) *rank = p.in(i).rank;
  }
  for (int d = 0; d < *rank; ++d) dims[d] = 1;
  for (int i = 0; i < p.inputs(); ++i) {
    const Tensor& t = p.in(i);
    for (int d = 0; d < t.rank; ++d) {
      i64& dim = dims[*rank - t.rank + d];
      if (t.dims[d] == 1 || t.dims[d] == dim) continue;
      if (dim != 1) return p.fail("operands do not broadcast: dimension %d is %lld and %lld", d, (long long)dim, (long long)t.dims[d]);
      dim = t.dims[d];
    }
  }
  return Status::ok;
}

Status tabulate(Prepare& p, State& s) {
  const bool alike = p.inputs() == 1 && count(p.in(0)) == count(p.out(0)) && s.program.even;
  if (!alike || !(is_long(s.program) || s.program.bytes->vectors)) return Status::ok;
  auto* table = static_cast<q8*>(p.keep(kBytes));
  if (!table) return p.out_of_memory();
  if (s.program.tabulate(table)) s.table = table;
  return Status::ok;
}

Status prepare(Prepare& p) {
  const auto& params = p.params<ElementwiseParams>();
  i64 dims[kMaxRank];
  int rank;
  EDGEORT_TRY(broadcast(p, dims, &rank));
  EDGEORT_TRY(p.set(0, DType::f32, dims, rank));
  auto* state = p.state<State>();
  if (!state) return p.out_of_memory();
  if (params.program.count == 0) return p.fail("its program is empty");
  EDGEORT_TRY(state->program.bind(p, params.program, sizeof(params), dims, rank > 0 ? rank - 1 : 0, rank > 0 ? dims[rank - 1] : 1, false));
  p.writes_slice(0);
  state->image = rank == 4;
  if (state->program.quantises()) EDGEORT_TRY(p.set(0, DType::q8, dims, rank));
  for (int i = 0; i < p.inputs(); ++i) {
    const bool same = p.in(i).dtype == p.out(0).dtype && count(p.in(i)) == count(p.out(0));
    if (same && !p.in(i).pitch && !p.out(0).pitch) p.overwrite(0, i);
  }
  p.thread_scratch(state->program.scratch_bytes(kProgramTile));
  return tabulate(p, *state);
}

void run(Run& r) {
  const State& s = r.state<State>();
  const BoundProgram& program = s.program;
  void* out = r.out(0).data;
  const i64 step = r.out(0).pitch ? r.out(0).pitch : program.columns, elements = count(r.out(0));
  if (s.table && elements > 0) {
    const i64 whole = s.dense(step) ? 1 : program.columns;
    r.ranges(elements / whole, ceil_div(16384, whole),
             [&](i64 begin, i64 end, int) { look_up(r, s, static_cast<q8*>(out), step, begin * whole, end * whole); });
    return;
  }
  // Tiles of whole rows, as far as rows are short.
  const i64 whole = min_of(program.columns, kProgramTile), tile = whole > 0 ? kProgramTile / whole * whole : 1;
  const i64 all = program.rows * program.columns, tiles = ceil_div(all, tile);
  r.ranges(tiles, 16384 / kProgramTile, [&](i64 begin, i64 end, int thread) {
    program.span(r, out, step, begin * tile, min_of(all, end * tile), r.thread_scratch(thread));
  });
}

bool can_stream(const void* state) { return static_cast<const State*>(state)->image; }

u64 stream_scratch(const void* state, i64) { return static_cast<const State*>(state)->program.scratch_bytes(kProgramTile); }

void run_lines(const Run& r, const Lines&, const Lines& out, i64 n, Span lines, void* scratch) {
  const BoundProgram& program = r.state<State>().program;
  const Tensor& t = r.out(0);
  const i64 line = t.dims[2] * t.dims[3];
  for (i64 y = lines.first; y < lines.last; ++y) {
    const i64 begin = (n * t.dims[1] + y) * line;
    if (r.state<State>().table) {
      look_up(r, r.state<State>(), out.line<q8>(y) - begin, program.columns, begin, begin + line);
      continue;
    }
    program.span(r, out.line<char>(y) - begin * static_cast<i64>(size_of(t.dtype)), program.columns, begin, begin + line, scratch);
  }
}

constexpr StreamOps kStream = {can_stream, nullptr, nullptr, stream_scratch, run_lines};

}  // namespace

extern const OpDef kElementwise;
const OpDef kElementwise = {"Elementwise", sizeof(ElementwiseParams), prepare, run, &kStream};

}  // namespace edgeort
