// Programs of micro-operations over tiles of float32: the bodies of fused elementwise chains, and epilogues.
//
// A program is interpreted one instruction at a time over a whole tile, so that its cost is that of the vector code.
#pragma once
#include "../../core/dispatch.h"
#include "../../core/q8.h"

namespace edgeort {

// dst[i] = uop(a[i], b[i]) for i in [0, n); b may be null where the micro-operation reads one operand. dst may be a or b.
using UopFn = void (*)(f32* dst, const f32* a, const f32* b, i64 n, const Instruction& instruction);

// The same and then Quantize, which is the next instruction: dst[i] = bytes. dst may be where a or b begins.
using QuantisedUopFn = void (*)(q8* dst, const f32* a, const f32* b, i64 n, const Instruction* code);

struct UopPair {
  UopFn vector;
  UopFn scalar;                                       // the same with b[0] for every i
  QuantisedUopFn quantised_vector, quantised_scalar;  // null: in two passes
};

// Null where the library's model does not use the micro-operation: the toolchain writes this table, so that the linker
// keeps only what it names.
struct ElementwiseKernels {
  const UopPair* uops[kUops];
};

// Rows of bytes that become others: y = table[x], of canonical bytes or stored ones. Row 1 lies a step behind row 0.
struct LookUp {
  const q8* table;  // what each byte, as unsigned, becomes
  const q8* x;
  q8* y;
  i64 x_step, y_step, rows, columns;
};

// The micro-operations Dequantize and Quantize of a q8 in memory, and a whole program: Dequantize of a and of b, Add, Quantize.
struct ByteKernels {
  void (*dequantize)(f32* dst, const q8* x, i64 n, f32 scale, i32 zero_point);
  void (*quantize)(q8* dst, const f32* x, i64 n, f32 scale, i32 zero_point);
  void (*add)(q8* dst, const q8* a, const q8* b, i64 n, const Instruction* code);  // dst may be a or b
  void (*look_up)(const LookUp& to);                                               // y may be x
  bool vectors;                                                                    // it looks up many at a time
};

}  // namespace edgeort
