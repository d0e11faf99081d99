// In which order levels that add pairs of products in 16 bits, where they may saturate, take the quads of weights.
//
// Products of bytes 0..255 by weights of one sign fit where those are at most 128 in sum: 255 * 128 < 2^15. Quads of kOrderColumns columns
// whose pairs all fit are taken as they lie, two at a time where the sums of both fit too. The rows of k of the others are paired anew,
// within a window of kWindow quads of a tap, so that pairs fit in all columns, or alone. That needs hardly more products than there
// are weights.
#pragma once
#include "../../core/dispatch.h"

#if defined(__AVX2__) && !defined(__AVX512F__) && !defined(__AVXVNNI__)
#define EDGEORT_PAIRS 1
#else
#define EDGEORT_PAIRS 0
#endif

namespace edgeort {

static constexpr i64 kOrderColumns = 8;  // that have lists of their own
static constexpr i64 kWindow = 4;        // quads whose values one instruction moves

// Two pairs.
struct MovedQuad {
  i8 weights[kOrderColumns * 4];  // [column][4]
  u8 from[4];                     // which of the window's values they multiply; 128: none, and the weights are zero
  u32 window;                     // the panel's quad where it begins
};

// Two quads of a panel.
struct TwoQuads {
  u16 first, second;
};

// The lists of kOrderColumns columns, in the order of taps, behind whose last is a number that no panel has.
struct QOrder {
  const TwoQuads* twos;
  const u16* ones;
  const MovedQuad* moved;
};
static constexpr i64 kMostOrdered = 0xffff;  // quads of a panel, less one

// What a panel's quads are.
struct OrderShape {
  i64 quads, tap;  // of all, and of a tap
  bool ragged;     // the last of a tap is a part of one, and in no list
};

struct OrderLists {
  TwoQuads* twos;
  u16* ones;
  MovedQuad* moved;
};

struct OrderSizes {
  i64 twos, ones, moved;
};

struct OrderKernels {
  // The lists of the columns whose first quad is at `weights`, without their ends. They have room for `quads`, that of moved ones for
  // twice as many. Each tap has kWindow whole quads at least. Null: the level needs no order.
  OrderSizes (*order)(const i8* weights, const OrderShape& shape, const OrderLists& to);
};

}  // namespace edgeort
