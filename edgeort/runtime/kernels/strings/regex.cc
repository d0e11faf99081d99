// RegexFullMatch: whether a pattern matches the whole of each string. Operands: the strings, the pattern (machine.h).
#include "machine.h"

namespace edgeort {
namespace {

Status prepare(Prepare& p) {
  EDGEORT_TRY(need(p, 3, 1));
  const Tensor& in = p.in(0);
  Machine m;
  const Text* texts;
  EDGEORT_TRY(texts_of(p, 0, &texts));
  EDGEORT_TRY(machine_of(p, 1, &m));
  EDGEORT_TRY(p.set(0, DType::boolean, in.dims, in.rank));
  auto* out = static_cast<u8*>(p.known(0));
  if (!out) return p.out_of_memory();
  for (i64 i = 0; i < count(in); ++i) out[i] = m.longest(texts[i], 0) == static_cast<i64>(texts[i].size);
  return Status::ok;
}

}  // namespace

extern const OpDef kRegexFullMatch;
const OpDef kRegexFullMatch = {"RegexFullMatch", 0, prepare, nothing};

}  // namespace edgeort
