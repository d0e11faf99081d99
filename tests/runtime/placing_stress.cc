// Chains of storages, each over the one before, of which the first leads every other one up its steps: lays them out, and counts those
// that lie over one another without being of one chain. `placing_stress CHAINS LENGTH`.
#include <stdio.h>
#include <stdlib.h>

#include "placing.h"

using namespace edgeort;

int main(int, char** arguments) {
  const i32 chains = atoi(arguments[1]), length = atoi(arguments[2]), n = chains * length;
  auto* storages = static_cast<Storage*>(calloc(static_cast<size_t>(n), sizeof(Storage)));
  auto* order = static_cast<i32*>(calloc(static_cast<size_t>(n), sizeof(i32)));
  for (i32 i = 0; i < n; ++i) {
    const i32 k = i % length, first = i - k;
    const i64 step = first == 0 ? 640 : 0;
    Storage& s = storages[i];
    s = {nullptr, first == 0 ? 640u : 64u, 0, 2 * k, 2 * k + 2};
    s.over = k > 0 ? i - 1 : -1;
    s.root = first;
    s.at = step * k;
    s.high = static_cast<i64>(s.bytes);
    if (k == 0) continue;
    Storage& root = storages[first];
    s.next = root.next;
    root.next = i;
    root.high = s.at + s.high;
  }
  size_t arena_bytes = 0;
  if (!lay_out(storages, n, order, &arena_bytes)) return 1;
  i64 wrong = 0;
  for (i32 i = 0; i < n; ++i) {
    const Storage& a = storages[i];
    wrong += a.offset + a.bytes > arena_bytes;
    for (i32 j = 0; j < i; ++j) {
      const Storage& b = storages[j];
      wrong += a.root != b.root && a.first <= b.last && b.first <= a.last && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
    }
  }
  printf("%lld wrong\n", static_cast<long long>(wrong));
}
