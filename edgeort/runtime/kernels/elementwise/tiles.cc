// Running a bound program, tile by tile.
#include <string.h>

#include "bound.h"

namespace edgeort {
namespace {

// Operand values of a block of rows, without gaps.
template <class T>
void gather(T* copy, const T* at, i64 step, i64 row_step, const BoundProgram::Tile& t, bool again) {
  if (again && row_step == 0) return;
  for (i64 m = 0; m < t.rows; ++m, copy += t.columns, at += row_step) {
    if (step == 1) {
      memcpy(copy, at, static_cast<size_t>(t.columns) * sizeof(T));
    } else {
      const T value = *at;
      for (i64 k = 0; k < t.columns; ++k) copy[k] = value;
    }
  }
}

}  // namespace

// Where the values of an operand are: a block of rows has no gaps, so that operands that lie otherwise are copied, and what
// is the same for all rows only once.
const void* BoundProgram::read(const Run& r, u32 index, const Tile& t, bool again, void* copy, i64* step) const {
  const Operand& o = operand[index];
  const i64 first = row_offset(o, t.row) + t.column * o.step;
  const Tensor& from = r.in(static_cast<int>(first_operand + index));
  const i64 row_step = t.rows > 1 ? o.near_step : o.row_step;
  const bool copied = o.splat || (t.rows > 1 && row_step != t.columns * o.step);
  *step = copied ? 1 : o.step;
  if (o.quantised) {
    const q8* at = from.as<const q8>() + first;
    if (!copied) return at;
    gather(static_cast<q8*>(copy), at, o.step, row_step, t, again);
  } else {
    const f32* at = from.as<const f32>() + first;
    if (!copied) return at;
    gather(static_cast<f32*>(copy), at, o.step, row_step, t, again);
  }
  return copy;
}

// `out` is null where the result is float32, at `values`.
void BoundProgram::tile(const Run& r, f32* values, q8* out, const Tile& t, bool again, void* scratch) const {
  const void* reg[kMaxRegisters];
  i64 step[kMaxRegisters];
  const u32 first = epilogue ? 1 : 0;
  const i64 n = t.columns * t.rows;
  spread(reg, step, n, scratch);
  for (u32 i = 0; i < operands; ++i) reg[first + i] = read(r, i, t, again, const_cast<void*>(reg[first + i]), &step[first + i]);
  if (epilogue) reg[0] = values;
  if (!out) reg[result] = values;
  execute(reg, step, n, out);
}

// Where the result has gaps, its bytes take the place of the values first: each step reads before it writes, further to the front.
void BoundProgram::run(const Run& r, f32* values, q8* out, i64 stride, const Tile& t, bool again, void* scratch) const {
  const bool gaps = t.rows > 1 && stride != t.columns;
  q8* bytes = gaps ? reinterpret_cast<q8*>(values) : out;
  tile(r, values, bytes, t, again, scratch);
  for (i64 m = 0; m < t.rows && gaps; ++m) memcpy(out + m * stride, bytes + m * t.columns, static_cast<size_t>(t.columns));
}

// Gives each register its place in the scratch.
void BoundProgram::spread(const void** reg, i64* step, i64 n, void* scratch) const {
  for (u32 i = 0; i < registers; ++i) {
    reg[i] = static_cast<f32*>(scratch) + i * n;
    step[i] = 1;
  }
}

// Whether it is what ByteKernels::add does.
bool BoundProgram::adds_bytes() const {
  if (epilogue || count != 4 || operands != 2 || !operand[0].quantised || !operand[1].quantised || !quantises()) return false;
  const Instruction &x = code[0], &y = code[1], &sum = code[2];
  const auto dequantizes = [&](const Instruction& c) { return static_cast<Uop>(c.uop) == Uop::Dequantize && c.a < operands; };
  const bool both = (sum.a == x.dst && sum.b == y.dst) || (sum.a == y.dst && sum.b == x.dst);
  return dequantizes(x) && dequantizes(y) && static_cast<Uop>(sum.uop) == Uop::Add && x.dst != y.dst && both && code[3].a == sum.dst;
}

void BoundProgram::execute(const void* const* reg, const i64* step, i64 n, q8* out) const {
  if (adds && step[0] == 1 && step[1] == 1) {
    bytes->add(out, static_cast<const q8*>(reg[code[0].a]), static_cast<const q8*>(reg[code[1].a]), n, code);
    return;
  }
  const u32 first = epilogue ? 1 : 0;
  for (u32 i = 0; i < count; ++i) {
    const Instruction& c = code[i];
    f32* dst = static_cast<f32*>(const_cast<void*>(reg[c.dst]));
    const f32* a = static_cast<const f32*>(reg[c.a]);
    if (c.a >= first && c.a < first + operands && operand[c.a - first].quantised) {
      bytes->dequantize(dst, static_cast<const q8*>(reg[c.a]), n, c.p0, static_cast<i32>(c.p1));
    } else if (out && i + 1 == count) {
      bytes->quantize(out, a, n, c.p0, static_cast<i32>(c.p1));
    } else {
      const bool one = c.b == kImmediate || step[c.b] == 0;
      const f32* b = c.b == kImmediate ? &c.p0 : static_cast<const f32*>(reg[c.b]);
      const UopPair& uop = *kernels->uops[c.uop];
      const QuantisedUopFn quantised = one ? uop.quantised_scalar : uop.quantised_vector;
      if (out && i + 2 == count && quantised && code[i + 1].a == c.dst) return quantised(out, a, b, n, &c);
      (one ? uop.scalar : uop.vector)(dst, a, b, n, c);
    }
  }
}

bool BoundProgram::tabulate(q8* table) const {
  if (epilogue || operands != 1 || !operand[0].quantised || !quantises()) return false;
  alignas(64) f32 scratch[kMaxRegisters * kBytes];
  q8 all[kBytes];
  const void* reg[kMaxRegisters];
  i64 step[kMaxRegisters];
  for (int i = 0; i < kBytes; ++i) all[i] = static_cast<q8>(i);
  spread(reg, step, kBytes, scratch);
  reg[0] = all;
  execute(reg, step, kBytes, table);
  return true;
}

void BoundProgram::span(const Run& r, void* out, i64 step, i64 begin, i64 end, void* scratch) const {
  const bool gaps = step != columns;
  const i64 block = max_of(1, kProgramTile / max_of(1, columns));
  Tile last = {};
  for (i64 at = begin; at < end;) {
    Tile t = {at / columns, at % columns, 0, 1};
    t.columns = min_of(min_of(columns - t.column, end - at), kProgramTile);
    if (t.columns == columns) t.rows = max_of(1, min_of(min_of(block, (end - at) / columns), near - t.row % near));
    const bool alike = t.column == last.column && t.columns == last.columns && t.rows == last.rows;
    const bool again = alike && (even || t.row / near == last.row / near);
    const i64 place = t.row * step + t.column;
    f32* own = static_cast<f32*>(scratch) + result * t.columns * t.rows;
    if (quantises()) {
      // Bytes may take the place of the result's own register, which nothing else needs.
      run(r, own, static_cast<q8*>(out) + place, step, t, again, scratch);
    } else if (gaps && t.rows > 1) {
      tile(r, own, nullptr, t, again, scratch);
      const size_t row = static_cast<size_t>(columns) * sizeof(f32);
      for (i64 m = 0; m < t.rows; ++m) memcpy(static_cast<f32*>(out) + place + m * step, own + m * columns, row);
    } else {
      tile(r, static_cast<f32*>(out) + place, nullptr, t, again, scratch);
    }
    at += t.columns * t.rows;
    last = t;
  }
}

}  // namespace edgeort
