// StringJoin: for each row of entries, those strings of a list, end to end, whose entry is kept. Operands: the strings [n], the entries
// [rows, steps] (int64), whether each is kept (boolean, of the same shape). An entry that is not kept may be anything.
#include "strings.h"

namespace edgeort {
namespace {

Status prepare(Prepare& p) {
  EDGEORT_TRY(need(p, 3, 1));
  const Tensor &strings = p.in(0), &entries = p.in(1), &kept = p.in(2);
  if (strings.rank != 1 || entries.rank != 2 || entries.dtype != DType::i64) return p.fail("it needs a list of strings, and rows of int64");
  if (kept.dtype != DType::boolean || kept.rank != 2 || kept.dims[0] != entries.dims[0] || kept.dims[1] != entries.dims[1])
    return p.fail("it needs a boolean for each entry");
  const Text* texts;
  const void *places, *flags;
  EDGEORT_TRY(texts_of(p, 0, &texts));
  EDGEORT_TRY(value_of(p, 1, &places));
  EDGEORT_TRY(value_of(p, 2, &flags));
  const i64* place = static_cast<const i64*>(places);
  const u8* flag = static_cast<const u8*>(flags);
  for (i64 i = 0; i < count(entries); ++i) {
    if (flag[i] && (place[i] < 0 || place[i] >= strings.dims[0]))
      return p.fail("entry %lld is none of its %lld strings", (long long)place[i], (long long)strings.dims[0]);
  }
  const i64 steps = entries.dims[1];
  return set_texts(p, 0, entries.dims, 1, [&](i64 row, TextWriter& writer) {
    for (i64 i = row * steps; i < (row + 1) * steps; ++i) {
      if (flag[i]) writer.put(texts[place[i]]);
    }
  });
}

}  // namespace

extern const OpDef kStringJoin;
const OpDef kStringJoin = {"StringJoin", 0, prepare, nothing};

}  // namespace edgeort
