// TfIdfVectorizer of integers or strings. Operands: x [n] or [batch, n], the pool of n-grams, where each length begins in it, the column of
// each n-gram, its weight. Parameters: shortest and longest n-gram, most skipped entries, mode.
#include "../move/args.h"

namespace edgeort {
namespace {

enum Mode : i64 { kCount, kWeight, kBoth };  // TF, IDF, TFIDF

Status prepare(Prepare& p) {
  EDGEORT_TRY(need(p, 5, 1));
  const Tensor& x = p.in(0);
  const auto& params = p.params<ListParams>();
  const Tensor& pool = p.in(1);
  Integers counts, columns;
  EDGEORT_TRY(integers_of(p, 2, i64{1} << 32, &counts));
  EDGEORT_TRY(integers_of(p, 3, i64{1} << 32, &columns));
  const bool fits = x.dtype == DType::string ? pool.dtype == x.dtype : Integers::holds(x) && Integers::holds(pool);
  if (!fits || pool.rank != 1) return p.fail("its input and its pool must be integers, or strings");
  if (x.rank < 1 || x.rank > 2) return p.fail("its input has rank %d", x.rank);
  if (params.values[0] < 1 || params.values[1] < params.values[0] || params.values[1] > counts.n || params.values[2] < 0)
    return p.fail("its lengths of n-grams are out of range");
  i64 width = 0, grams = 0;
  for (i64 k = 0; k < counts.n; ++k) {
    const i64 end = k + 1 < counts.n ? counts[k + 1] : pool.dims[0];
    if (counts[k] < 0 || end < counts[k] || end > pool.dims[0]) return p.fail("its n-grams lie outside the pool");
    grams += (end - counts[k]) / (k + 1);
  }
  for (i64 k = 0; k < columns.n; ++k) {
    if (columns[k] < 0 || columns[k] >> 32) return p.fail("column %lld is out of range", static_cast<long long>(columns[k]));
    width = max_of(width, columns[k] + 1);
  }
  if (columns.n != grams || p.in(4).dtype != DType::f32 || count(p.in(4)) != grams)
    return p.fail("n-grams, columns and weights differ in number");
  const i64 dims[2] = {x.rank == 2 ? x.dims[0] : width, width};
  return p.set(0, DType::f32, dims, x.rank);
}

struct Words {
  const Text* texts;
  const Text& operator[](i64 i) const { return texts[i]; }
};

bool same_entry(i64 a, i64 b) { return a == b; }
bool same_entry(const Text& a, const Text& b) { return same_text(a, b); }

// How often the n-gram occurs in the row, its entries `step` apart.
template <class List>
i64 occurrences(const List& x, i64 first, i64 length, const List& pool, i64 gram, i64 n, i64 step) {
  i64 found = 0;
  for (i64 i = 0; i + (n - 1) * step < length; ++i) {
    i64 same = 0;
    while (same < n && same_entry(x[first + i + same * step], pool[gram + same])) ++same;
    found += same == n;
  }
  return found;
}

template <class List>
void count_grams(Run& r, const List& x, const List& pool) {
  const Integers counts = Integers::of(r.in(2)), columns = Integers::of(r.in(3));
  const auto& params = r.params<ListParams>();
  const Tensor& out = r.out(0);
  const i64 width = out.dims[out.rank - 1], rows = out.rank == 2 ? out.dims[0] : 1, length = rows ? count(r.in(0)) / rows : 0,
            size = r.in(1).dims[0];
  r.ranges(rows, 1, [&](i64 begin, i64 end, int) {
    for (i64 row = begin; row < end; ++row) {
      f32* y = out.as<f32>() + row * width;
      for (i64 i = 0; i < width; ++i) y[i] = 0;
      i64 k = 0;
      for (i64 n = 1; n <= counts.n; ++n) {
        const i64 last = n < counts.n ? counts[n] : size;
        for (i64 gram = counts[n - 1]; gram + n <= last; gram += n, ++k) {
          if (n < params.values[0] || n > params.values[1]) continue;
          i64 found = 0;
          for (i64 skip = 0; skip <= (n == 1 ? 0 : min_of(params.values[2], length)); ++skip)
            found += occurrences(x, row * length, length, pool, gram, n, skip + 1);
          const f32 times = params.values[3] == kWeight ? (found ? 1.0f : 0.0f) : static_cast<f32>(found);
          y[columns[k]] += params.values[3] == kCount ? times : times * r.in(4).as<const f32>()[k];
        }
      }
    }
  });
}

void run(Run& r) {
  const Tensor &x = r.in(0), &pool = r.in(1);
  if (x.dtype == DType::string) return count_grams(r, Words{x.as<const Text>()}, Words{pool.as<const Text>()});
  count_grams(r, Integers::of(x), Integers::of(pool));
}

}  // namespace

extern const OpDef kTfIdfVectorizer;
const OpDef kTfIdfVectorizer = {"TfIdfVectorizer", sizeof(ListParams), prepare, run};

}  // namespace edgeort
