// RegexFullMatch: whether a pattern matches the whole of each string. Operands: the strings, the pattern as a program (Thompson 1968;
// lowering/regex.py writes it) of int64 [n, 3], and ranges of characters int64 [m, 2]. All ways through the program are followed at
// once, so that time is at most characters x instructions.
#include "strings.h"

namespace edgeort {
namespace {

// The instructions: the match; one character of ranges [x, x + y); go on at x and at y; an assertion.
enum Op : i64 { kMatch, kCharacter, kSplit, kAssert };
enum Assertion : i64 { kTextBegin, kTextEnd, kLineBegin, kLineEnd, kBoundary, kNoBoundary };
constexpr u32 kNone = 0xffffffffu;  // before the first character, and behind the last

bool is_word(u32 c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; }

bool holds(i64 assertion, u32 before, u32 next) {
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

  bool matches(const Text& text) {
    const char *at = text.data, *end = text.data + text.size;
    u32 before = kNone, c = at < end ? read_code(at, end) : kNone;
    ++step;
    i64 length = reach(0, now, 0, before, c);
    while (c != kNone && length) {
      const u32 after = at < end ? read_code(at, end) : kNone;
      i64 reached = 0;
      ++step;
      for (i64 i = 0; i < length; ++i) {
        if (code[now[i]][0] == kCharacter && takes(code[now[i]], c)) reached = reach(now[i] + 1, next, reached, c, after);
      }
      i64* list = now;
      now = next;
      next = list;
      length = reached;
      c = after;
    }
    for (i64 i = 0; c == kNone && i < length; ++i) {
      if (code[now[i]][0] == kMatch) return true;
    }
    return false;
  }
};

Status check_program(Prepare& p, const Machine& m, i64 ranges) {
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

Status prepare(Prepare& p) {
  EDGEORT_TRY(need(p, 3, 1));
  const Tensor &in = p.in(0), &program = p.in(1), &ranges = p.in(2);
  if (program.dtype != DType::i64 || program.rank != 2 || program.dims[1] != 3 || program.dims[0] < 1)
    return p.fail("its program must be int64 of [n, 3]");
  if (ranges.dtype != DType::i64 || ranges.rank != 2 || ranges.dims[1] != 2) return p.fail("its ranges must be int64 of [n, 2]");
  Machine m = {};
  const Text* texts;
  const void *code, *pairs;
  EDGEORT_TRY(texts_of(p, 0, &texts));
  EDGEORT_TRY(value_of(p, 1, &code));
  EDGEORT_TRY(value_of(p, 2, &pairs));
  m.code = static_cast<const i64(*)[3]>(code);
  m.ranges = static_cast<const i64(*)[2]>(pairs);
  m.n = program.dims[0];
  EDGEORT_TRY(check_program(p, m, ranges.dims[0]));
  auto* room = static_cast<i64*>(p.keep(static_cast<u64>(m.n) * 4 * sizeof(i64)));
  EDGEORT_TRY(p.set(0, DType::boolean, in.dims, in.rank));
  auto* out = static_cast<u8*>(p.known(0));
  if (!room || !out) return p.fail("out of memory");
  m.now = room, m.next = room + m.n, m.stack = room + 2 * m.n, m.seen = room + 3 * m.n;
  for (i64 i = 0; i < count(in); ++i) out[i] = m.matches(texts[i]);
  return Status::ok;
}

}  // namespace

extern const OpDef kRegexFullMatch;
const OpDef kRegexFullMatch = {"RegexFullMatch", 0, prepare, nothing};

}  // namespace edgeort
