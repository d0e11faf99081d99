// A program bound to the shapes of a node: where each operand's values are for each row of the iteration space.
#pragma once
#include "../../core/op.h"
#include "program.h"

namespace edgeort {

static constexpr i64 kProgramTile = 512;
static constexpr int kBytes = 256;  // that there are

// The space is [dims..., columns]: `rank` leading dimensions, walked row by row.
struct BoundProgram {
  static constexpr int kMaxOperands = 16;
  static constexpr int kMaxRegisters = 32;
  static constexpr i64 kNotEven = -1;
  struct Operand {
    i64 strides[kMaxRank];  // elements, of each leading dimension
    i64 row_step;           // elements between neighbouring rows, or kNotEven
    i64 near_step;          // the same within `near` rows
    i64 step;               // between columns: 0 or 1
    bool splat;             // step 0, but read where a vector is needed
    bool quantised;         // a q8, which Dequantize reads
  };

  const ElementwiseKernels* kernels;
  const ByteKernels* bytes;
  const Instruction* code;
  u32 count, operands, first_operand, registers, result;
  bool epilogue;  // register 0 is the tile itself
  bool even;      // no operand's row_step is kNotEven
  bool flat;      // every operand has the space's own layout, or is one value: an epilogue's rows may be run as one
  bool adds;      // the program is a sum of two q8
  int rank;
  i64 dims[kMaxRank];
  i64 rows, columns;
  i64 near;  // rows from a multiple of it on that lie evenly in every operand: all rows where `even`
  Operand operand[kMaxOperands];

  bool empty() const { return count == 0; }
  // The last instruction is Quantize: the result may be a q8.
  bool quantises() const { return count > 0 && static_cast<Uop>(code[count - 1].uop) == Uop::Quantize; }
  // The program is one clamp to [lo, hi] (neither of them -0), which kernels do in registers.
  bool clamp(f32* lo, f32* hi) const;
  // The same for kernels that also know a hard swish, and for a program of nothing: lo, hi are then infinite.
  bool in_registers(f32* lo, f32* hi, bool* swish) const;

  // The program adds operand `index`, float32 of whole rows at even distances, and then clamps as above or ends: `lo` and `hi` are
  // infinite where it ends.
  bool adds_one(f32* lo, f32* hi, u32* index) const;

  // Checks `program` and binds it to the space `dims` x `columns`. Its instructions lie behind the params struct `params_end`.
  Status bind(Prepare& p, const Program& program, size_t params_bytes, const i64* dims, int rank, i64 columns, bool epilogue);
  // Work space of one thread for tiles of up to `tile` elements.
  u64 scratch_bytes(i64 tile) const;
  // `columns` of each of `rows` rows, from row `row` and column `column` on; more than one row only of the same `near`.
  struct Tile {
    i64 row, column, columns, rows;
  };
  // Runs columns [column, column + n) of `row` (and, when flat, what follows); `out` points at the first of them.
  void run(const Run& r, f32* out, i64 row, i64 column, i64 n, void* scratch) const { run(r, out, {row, column, n, 1}, false, scratch); }
  // The same for a tile, whose rows have no gaps. `again`: the scratch is that of a tile of the same shape and column.
  void run(const Run& r, f32* out, const Tile& t, bool again, void* scratch) const { tile(r, out, nullptr, t, again, scratch); }
  // The same for a program that quantises: `values` is what an epilogue's register 0 holds, and is lost. Rows of `out` lie `stride`
  // apart.
  void run(const Run& r, f32* values, q8* out, i64 stride, const Tile& t, bool again, void* scratch) const;
  // Runs elements [begin, end) of the space of a program that is no epilogue, row by row, in tiles of kProgramTile; `out`
  // is row 0, `step` elements before row 1: q8 when the program quantises, else float32.
  void span(const Run& r, void* out, i64 step, i64 begin, i64 end, void* scratch) const;

  // Sets table[byte], byte unsigned, to what a program that reads one q8 and makes another makes of it; false for others.
  bool tabulate(q8* table) const;

 private:
  Status bind_operand(Prepare& p, u32 index);
  Status bind_readers(Prepare& p, u32 index);
  void measure(Operand* o) const;
  void measure_near();
  void tile(const Run& r, f32* values, q8* out, const Tile& t, bool again, void* scratch) const;
  const void* read(const Run& r, u32 index, const Tile& t, bool again, void* copy, i64* step) const;
  void spread(const void** reg, i64* step, i64 n, void* scratch) const;
  void execute(const void* const* reg, const i64* step, i64 n, q8* out) const;
  i64 row_offset(const Operand& o, i64 row) const;
  void join();
  bool adds_bytes() const;
  static bool is_clamp(const Instruction& c, f32* lo, f32* hi);
  Status check(Prepare& p, const Program& program);
};

}  // namespace edgeort
