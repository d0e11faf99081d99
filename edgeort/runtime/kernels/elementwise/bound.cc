#include "bound.h"

#include <string.h>

namespace edgeort {

EDGEORT_KERNELS(ElementwiseKernels, elementwise)
EDGEORT_KERNELS(ByteKernels, bytes_of_q8)

bool BoundProgram::is_clamp(const Instruction& c, f32* lo, f32* hi) {
  const Uop uop = static_cast<Uop>(c.uop);
  if (uop != Uop::Relu && uop != Uop::Clip) return false;
  const f32 low = uop == Uop::Relu ? 0.0f : c.p0, high = uop == Uop::Relu ? __builtin_inff() : c.p1;
  // Limits that clip_sum (simd/vec.h) treats alike on every CPU: neither NaN nor -0.
  const auto plain = [](f32 x) { return x == x && !(x == 0.0f && __builtin_signbit(x)); };
  if (!plain(low) || !plain(high)) return false;
  *lo = low;
  *hi = high;
  return true;
}

bool BoundProgram::clamp(f32* lo, f32* hi) const { return count == 1 && code[0].dst == 0 && code[0].a == 0 && is_clamp(code[0], lo, hi); }

bool BoundProgram::adds_one(f32* lo, f32* hi, u32* index) const {
  if (count < 1 || count > 2 || !epilogue || static_cast<Uop>(code[0].uop) != Uop::Add) return false;
  const u32 a = code[0].a, b = code[0].b, other = a == 0 ? b : a;
  if ((a != 0 && b != 0) || other == 0 || other > operands) return false;
  const Operand& o = operand[other - 1];
  if (o.quantised || o.step != 1 || o.row_step == kNotEven) return false;
  *index = other - 1;
  if (count == 2) return code[1].a == code[0].dst && is_clamp(code[1], lo, hi);
  *lo = -__builtin_inff();
  *hi = __builtin_inff();
  return true;
}

bool BoundProgram::in_registers(f32* lo, f32* hi, bool* swish) const {
  *lo = -__builtin_inff();
  *hi = __builtin_inff();
  *swish = count == 1 && static_cast<Uop>(code[0].uop) == Uop::HardSwish && code[0].dst == 0 && code[0].a == 0;
  return *swish || empty() || clamp(lo, hi);
}

Status BoundProgram::check(Prepare& p, const Program& program) {
  if (program.operands > kMaxOperands || program.registers > kMaxRegisters || program.result >= program.registers) {
    return p.fail("its program needs too many registers");
  }
  const u32 inputs = program.operands + (epilogue ? 1 : 0);
  if (program.registers < inputs) return p.fail("its program has fewer registers than operands");
  static_assert(kMaxRegisters < 64, "a bit each");
  u64 written = (u64{1} << inputs) - 1;
  for (u32 i = 0; i < program.count; ++i) {
    const Instruction& c = code[i];
    const bool immediate = c.b == kImmediate;
    if (c.uop >= kUops || c.dst >= program.registers || c.a >= program.registers || (!immediate && c.b >= program.registers)) {
      return p.fail("its program is malformed");
    }
    const u64 reads = u64{1} << c.a | (immediate ? 0 : u64{1} << c.b);
    if (reads & ~written) return p.fail("its program reads a register that nothing has written");
    written |= u64{1} << c.dst;
    // It may be the memory of an operand.
    if (!epilogue && c.dst == program.result && i + 1 < program.count) return p.fail("its program writes its result before its end");
    const Uop uop = static_cast<Uop>(c.uop);
    if ((uop == Uop::Quantize || uop == Uop::Dequantize) && !(c.p1 >= -128.0f && c.p1 <= 127.0f && c.p1 == __builtin_truncf(c.p1)))
      return p.fail("its program has a zero point that no q8 is");
    if (!kernels->uops[c.uop])
      return p.fail("this library has no micro-operation \"%s\"; it was built for another model", kUopNames[c.uop]);
    if (c.dst < inputs && !(epilogue && c.dst == 0)) return p.fail("its program writes to an operand");
  }
  if (program.count && code[program.count - 1].dst != program.result) return p.fail("its program does not end in its result");
  return Status::ok;
}

Status BoundProgram::bind(Prepare& p, const Program& program, size_t params_bytes, const i64* space, int space_rank, i64 space_columns,
                          bool is_epilogue) {
  kernels = &elementwise(p.isa());
  bytes = &bytes_of_q8(p.isa());
  if (program.count > p.trailing(params_bytes) / sizeof(Instruction)) return p.fail("its program is truncated");
  code = reinterpret_cast<const Instruction*>(static_cast<const u8*>(p.raw_params()) + params_bytes);
  count = program.count;
  operands = program.operands;
  first_operand = program.first_operand;
  registers = program.registers;
  result = program.result;
  epilogue = is_epilogue;
  rank = space_rank;
  columns = space_columns;
  rows = 1;
  near = 1;
  even = flat = true;
  adds = false;
  for (int i = 0; i < rank; ++i) {
    dims[i] = space[i];
    rows *= space[i];
  }
  if (count == 0) return Status::ok;
  EDGEORT_TRY(check(p, program));
  for (u32 i = 0; i < operands; ++i) EDGEORT_TRY(bind_operand(p, i));
  if (!epilogue && !p.out(0).pitch) join();
  for (u32 i = 0; i < operands; ++i) {
    measure(&operand[i]);
    even &= operand[i].row_step != kNotEven;
    EDGEORT_TRY(bind_readers(p, i));
  }
  measure_near();
  adds = adds_bytes();
  return Status::ok;
}

// What the instructions that read an operand ask of it.
Status BoundProgram::bind_readers(Prepare& p, u32 index) {
  Operand& o = operand[index];
  const u32 own = index + (epilogue ? 1 : 0);
  for (const Instruction* c = code; c < code + count; ++c) {
    o.splat |= o.step == 0 && c->a == own;
    const bool read = c->a == own || (c->b != kImmediate && c->b == own);
    if (o.quantised && read && (static_cast<Uop>(c->uop) != Uop::Dequantize || c->a != own))
      return p.fail("operand %d of its program is quantised and read as float32", static_cast<int>(first_operand + index));
  }
  return Status::ok;
}

Status BoundProgram::bind_operand(Prepare& p, u32 index) {
  const int input = static_cast<int>(first_operand + index);
  if (!p.has(input) || (p.in(input).dtype != DType::f32 && p.in(input).dtype != DType::q8))
    return p.fail("operand %d of its program must be float32 or quantised", input);
  const Tensor& t = p.in(input);
  if (t.rank > rank + 1) return p.fail("operand %d of its program has rank %d, above %d", input, t.rank, rank + 1);
  p.reads_slice(input);
  p.reads_lines(input);
  Operand& o = operand[index];
  o = {};
  o.quantised = t.dtype == DType::q8;
  i64 stride = 1, full = columns;
  bool whole = true;
  for (int d = rank; d >= 0; --d) {
    const int own = d - (rank + 1 - t.rank);
    const i64 size = d == rank ? columns : dims[d];
    const i64 dim = own < 0 ? 1 : t.dims[own];
    if (dim != size && dim != 1)
      return p.fail("operand %d of its program does not broadcast: %lld to %lld", input, (long long)dim, (long long)size);
    const i64 step = dim == 1 ? 0 : stride;
    if (d == rank) {
      o.step = step;
      whole &= dim == columns;
    } else {
      o.strides[d] = step;
      whole &= size == 1 || step == full;
      full *= size;
    }
    stride = own == t.rank - 1 && own >= 0 ? pitch_of(t) : stride * dim;
  }
  // With one column, an operand of the space's own layout steps when rows are run as one.
  if (whole) o.step = 1;
  flat &= whole || edgeort::count(t) == 1;
  return Status::ok;
}

// Joins the last leading dimension with the columns while every operand walks both alike: fewer, longer rows.
void BoundProgram::join() {
  for (; rank > 0; --rank) {
    const i64 size = dims[rank - 1];
    for (u32 i = 0; i < operands; ++i) {
      const i64 outer = operand[i].strides[rank - 1], step = operand[i].step;
      // The single column of a slice has others of the whole tensor behind it.
      if (size != 1 && (columns == 1 ? outer > 1 : outer != step * columns)) return;
    }
    for (u32 i = 0; i < operands; ++i) {
      if (columns == 1) operand[i].step = operand[i].strides[rank - 1];
    }
    columns *= size;
    rows /= size > 0 ? size : 1;
  }
}

// Sets row_step: whether rows follow one another as evenly as in one long list, so that no row needs its coordinates.
void BoundProgram::measure(Operand* o) const {
  o->row_step = 0;
  i64 inner = 1;  // rows behind one step of dimension d
  for (int d = rank - 1; d >= 0; --d) {
    if (dims[d] == 1) continue;
    if (inner == 1) {
      o->row_step = o->strides[d];
    } else if (o->strides[d] != o->row_step * inner) {
      o->row_step = kNotEven;
      return;
    }
    inner *= dims[d];
  }
}

// Joins leading dimensions from the last one outwards while every operand walks them evenly.
void BoundProgram::measure_near() {
  near = 1;
  for (u32 i = 0; i < operands; ++i) operand[i].near_step = 0;
  for (int d = rank - 1; d >= 0; --d) {
    if (dims[d] == 1) continue;
    for (u32 i = 0; i < operands; ++i) {
      Operand& o = operand[i];
      if (near == 1) o.near_step = o.strides[d];
      if (near > 1 && o.strides[d] != o.near_step * near) return;
    }
    near *= dims[d];
  }
}

i64 BoundProgram::row_offset(const Operand& o, i64 row) const {
  if (o.row_step != kNotEven) return row * o.row_step;
  i64 offset = 0;
  for (i64 rest = row, d = rank - 1; d >= 0; --d) {
    offset += rest % dims[d] * o.strides[d];
    rest /= dims[d];
  }
  return offset;
}

u64 BoundProgram::scratch_bytes(i64 tile) const { return count ? u64{registers} * static_cast<u64>(tile) * sizeof(f32) : 0; }

}  // namespace edgeort
