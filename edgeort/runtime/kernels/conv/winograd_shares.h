// How the transforms and the products of one ISA level divide the work: for winograd*.isa.cc.
#pragma once
#include "../../simd/vec.h"
#include "winograd.h"

namespace edgeort {
namespace {

// A register tile of the product: rows, and vectors of columns.
#if defined(__AVX512F__)
constexpr int kRows = 12, kVectors = 2;
#elif defined(__AVX2__)
constexpr int kRows = 6, kVectors = 2;
#elif defined(__aarch64__)
constexpr int kRows = 5, kVectors = 4;
#else
constexpr int kRows = 4, kVectors = 2;
#endif
// Groups of columns are whole panels.
constexpr int kPanelVectors = static_cast<int>(kPanel) / kLanes;
constexpr int kWide = kVectors > kPanelVectors ? kVectors : kPanelVectors;

// Keeps the compiler from folding an address or an offset into its uses. Arm's paired stores reach 1 KB around an address, and
// the sum of two registers costs them nothing.
template <class T>
EDGEORT_INLINE T anchor(T value) {
  asm("" : "+r"(value));
  return value;
}

constexpr i64 kBytes = sizeof(f32);
EDGEORT_INLINE f32* at(f32* p, i64 bytes) { return reinterpret_cast<f32*>(reinterpret_cast<char*>(p) + bytes); }
EDGEORT_INLINE const f32* at(const f32* p, i64 bytes) { return reinterpret_cast<const f32*>(reinterpret_cast<const char*>(p) + bytes); }

}  // namespace
}  // namespace edgeort
