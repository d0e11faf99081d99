// How the transforms and the products of one ISA level divide the work: for winograd*.isa.cc.
#pragma once
#include "../../simd/vec.h"
#include "winograd.h"

namespace edgeort {
namespace {

constexpr int kIn = kWinogradIn, kOut = kWinogradOut;

constexpr int kShare = kWinogradShare, kShareRows = kShare / kIn;

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

}  // namespace
}  // namespace edgeort
