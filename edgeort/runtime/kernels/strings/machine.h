// Regular expressions, as programs (Thompson 1968; lowering/regex.py writes them) of int64 [n, 3] and ranges of characters int64 [m, 2].
// All ways through a program are followed at once, so that time is at most characters x instructions.
#pragma once
#include "strings.h"

namespace edgeort {

// The instructions: the match; one character of ranges [x, x + y); go on at x and at y; an assertion.
enum Op : i64 { kMatch, kCharacter, kSplit, kAssert };
enum Assertion : i64 { kTextBegin, kTextEnd, kLineBegin, kLineEnd, kBoundary, kNoBoundary };
constexpr u32 kNone = 0xffffffffu;  // before the first character, and behind the last

static inline bool is_word(u32 c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; }

static inline bool holds(i64 assertion, u32 before, u32 next) {
  switch (assertion) {
    case kTextBegin:
      return before == kNone;
    case kTextEnd:
      return next == kNone;
    case kLineBegin:
      return before == kNone || before == '\n';
    case kLineEnd:
      return next == kNone || next == '\n';
    default:
      return (is_word(before) != is_word(next)) == (assertion == kBoundary);
  }
}

struct Machine {
  const i64 (*code)[3];
  const i64 (*ranges)[2];
  i64 n;
  i64 *now, *next, *stack, *seen;  // places in the program; when a place was last reached
  i64 step;

  bool takes(const i64* instruction, u32 c) const {
    for (i64 i = instruction[1]; i < instruction[1] + instruction[2]; ++i) {
      if (static_cast<i64>(c) >= ranges[i][0] && static_cast<i64>(c) <= ranges[i][1]) return true;
    }
    return false;
  }

  // Adds to `list` what can be reached from `place` without a character. Returns the length of the list.
  i64 reach(i64 place, i64* list, i64 length, u32 before, u32 after) {
    i64 depth = 0;
    const auto push = [&](i64 to) {
      if (seen[to] == step) return;
      seen[to] = step;
      stack[depth++] = to;
    };
    push(place);
    while (depth) {
      const i64 at = stack[--depth];
      const i64* instruction = code[at];
      if (instruction[0] == kSplit) {
        push(instruction[1]);
        push(instruction[2]);
      } else if (instruction[0] == kAssert) {
        if (holds(instruction[1], before, after)) push(at + 1);
      } else {
        list[length++] = at;
      }
    }
    return length;
  }

  // The end of the longest match that begins at text[from]; -1 where there is none.
  i64 longest(const Text& text, u64 from) {
    const char *at = text.data + from, *end = text.data + text.size;
    u32 before = from ? static_cast<u8>(text.data[from - 1]) : kNone, c = kNone;
    i64 best = -1, length = 1;
    for (bool first = true; length; first = false) {
      const char* here = at;
      const u32 after = at < end ? read_code(at, end) : kNone;
      i64 reached = 0;
      ++step;
      if (first) reached = reach(0, next, 0, before, after);
      for (i64 i = 0; !first && i < length; ++i) {
        if (code[now[i]][0] == kCharacter && takes(code[now[i]], c)) reached = reach(now[i] + 1, next, reached, c, after);
      }
      i64* list = now;
      now = next;
      next = list;
      length = reached;
      for (i64 i = 0; i < length; ++i) {
        if (code[now[i]][0] == kMatch) best = here - text.data;
      }
      if (after == kNone) break;
      c = after;
    }
    return best;
  }
};

static inline Status check_program(Prepare& p, const Machine& m, i64 ranges) {
  for (i64 i = 0; i < m.n; ++i) {
    const i64 op = m.code[i][0], x = m.code[i][1], y = m.code[i][2];
    const bool goes_on = op == kCharacter || op == kAssert;
    bool fits = op >= kMatch && op <= kAssert && !(goes_on && i + 1 == m.n);
    if (op == kCharacter) fits = fits && x >= 0 && y >= 0 && x <= ranges && y <= ranges - x;
    if (op == kSplit) fits = fits && x >= 0 && y >= 0 && x < m.n && y < m.n;
    if (op == kAssert) fits = fits && x >= kTextBegin && x <= kNoBoundary;
    if (!fits) return p.fail("instruction %lld of its pattern is damaged", static_cast<long long>(i));
  }
  return Status::ok;
}

// The machine of operands `input`, the program, and `input` + 1, the ranges.
static inline Status machine_of(Prepare& p, int input, Machine* out) {
  const Tensor &program = p.in(input), &ranges = p.in(input + 1);
  if (program.dtype != DType::i64 || program.rank != 2 || program.dims[1] != 3 || program.dims[0] < 1)
    return p.fail("its program must be int64 of [n, 3]");
  if (ranges.dtype != DType::i64 || ranges.rank != 2 || ranges.dims[1] != 2) return p.fail("its ranges must be int64 of [n, 2]");
  const void *code, *pairs;
  EDGEORT_TRY(value_of(p, input, &code));
  EDGEORT_TRY(value_of(p, input + 1, &pairs));
  *out = {static_cast<const i64(*)[3]>(code), static_cast<const i64(*)[2]>(pairs), program.dims[0], nullptr, nullptr, nullptr, nullptr, 0};
  EDGEORT_TRY(check_program(p, *out, ranges.dims[0]));
  auto* room = static_cast<i64*>(p.keep(static_cast<u64>(out->n) * 4 * sizeof(i64)));
  if (!room) return p.out_of_memory();
  out->now = room, out->next = room + out->n, out->stack = room + 2 * out->n, out->seen = room + 3 * out->n;
  return Status::ok;
}

}  // namespace edgeort
