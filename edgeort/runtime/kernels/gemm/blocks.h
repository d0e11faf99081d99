// How a product is cut: tasks of rows and columns, groups of blocks of rows, and chunks of columns that stay in cache.
#pragma once
#include "../../core/op.h"
#include "gemm.h"

namespace edgeort {

struct Blocks {
  i64 n, panel_stride;          // columns, and elements between panels
  i64 rows, block;              // rows in all, and of a block (the last may be smaller)
  i64 row_parts, column_parts;  // tasks
  i64 width;                    // columns of a tile: tasks are whole ones
  i64 group, chunk;             // so many blocks share so many columns of weights before the next ones
  i64 max_taps;
  bool columns_first;  // neighbouring tasks share columns, not rows
  u32* ended;          // for each task's rows, how many of their tasks are over; null: nobody waits for whole rows
  bool even;           // rows are evenly spaced in memory: equal blocks are one entry of TapRows

  struct Part {
    i64 first, last;  // rows
    i64 begin, end;   // columns
  };

  // Cuts the work for `all_rows` rows whose sums have up to `taps` taps, into blocks of up to `tile_rows` rows and chunks of
  // whole tiles of `tile_columns` columns, whose weights have `element` bytes.
  void cut(i64 all_rows, i64 taps, int threads, i64 tile_rows, i64 tile_columns, i64 element);
  i64 tasks() const { return row_parts * column_parts; }
  // Of task 0 <= task < tasks(); neighbours share rows, or columns. Any run of neighbours is a fair share of the whole.
  Part part(i64 task) const {
    const i64 row = row_part(task), column = columns_first ? task / row_parts : task % column_parts;
    return {rows * row / row_parts, rows * (row + 1) / row_parts, edge(column), edge(column + 1)};
  }
  // Memory for `ended`: somebody waits for whole rows. False when there is none.
  bool count_ended(Prepare& p) {
    ended = static_cast<u32*>(p.keep(static_cast<u64>(row_parts) * sizeof(u32)));
    return ended != nullptr;
  }
  // Whether a task that ends here is the last of those that compute the same rows.
  bool is_last(i64 task) const {
    u32* rows_ended = ended + row_part(task);
    if (__atomic_add_fetch(rows_ended, 1, __ATOMIC_ACQ_REL) != static_cast<u32>(column_parts)) return false;
    __atomic_store_n(rows_ended, 0, __ATOMIC_RELAXED);  // for the next run
    return true;
  }
  // Of the widest task.
  i64 most_columns() const { return min_of(n, ceil_div(ceil_div(n, width), column_parts) * width); }
  // Scratch for the entries of a group.
  i64 group_bytes() const { return group * (pointer_bytes() + max_taps * i64{sizeof(i64)}); }

  // For each group of blocks of `part`: `fill(first_row, &rows)` sets the pointers, offsets, taps, kc and step of each entry;
  // `then(entries, count, its part, rest)` computes it, with what is left of `scratch` behind group_bytes().
  template <class T, class Fill, class Then>
  void groups(const Part& part, void* scratch, const Fill& fill, const Then& then) const {
    // Blocks as equal as tiles allow: 49 rows are 10 + 10 + 10 + 10 + 9 rather than 4 * 12 + 1. The first `larger` have a row more.
    const i64 all = part.last - part.first, blocks = ceil_div(all, block), size = all / max_of(blocks, 1), larger = all - blocks * size;
    i64 row = part.first;
    for (i64 first = 0; first < blocks; first += group) {
      const i64 last = min_of(blocks, first + group);
      TapRows<T> entries[kMaxGroup];
      u8* rest = static_cast<u8*>(scratch);
      i64 count = 0, to = row;
      for (i64 i = first; i < last; i += entries[count++].repeat) {
        TapRows<T>& entry = entries[count];
        entry.rows = static_cast<int>(size + (i < larger));
        entry.repeat = !even ? 1 : min_of(last, i < larger ? larger : last) - i;
        rest = place(&entry, rest);
        fill(to, &entry);
        to += entry.rows * entry.repeat;
      }
      then(entries, count, Part{row, to, part.begin, part.end}, rest);
      row = to;
    }
  }

  // `compute(entry, begin, end, out)` for each chunk of columns of a group, whose rows lie `stride` apart from `out` on.
  template <class T, class Out, class Compute>
  void chunks(const TapRows<T>* entries, i64 count, const Part& part, Out* out, i64 stride, const Compute& compute) const {
    for (i64 column = part.begin; column < part.end; column += chunk) {
      Out* at = out;
      for (i64 i = 0; i < count; at += entries[i].rows * entries[i].repeat * stride, ++i) {
        compute(entries[i], column, min_of(part.end, column + chunk), at);
      }
    }
  }

 private:
  static constexpr int kMaxGroup = 16;
  i64 row_part(i64 task) const { return columns_first ? task % row_parts : task / column_parts; }
  // Where the columns of a task begin.
  i64 edge(i64 column_part) const { return min_of(n, ceil_div(n, width) * column_part / column_parts * width); }
  i64 pointer_bytes() const { return round_up(max_taps * block * i64{sizeof(void*)}, 8); }
  template <class T>
  u8* place(TapRows<T>* out, u8* scratch) const {
    out->pointers = reinterpret_cast<const T**>(scratch);
    scratch += pointer_bytes();
    out->offsets = reinterpret_cast<i64*>(scratch);
    return scratch + max_taps * i64{sizeof(i64)};
  }
};

// The tile of up to `most` columns with the most sums in registers; among equals the one that pads `most` columns least, then the
// widest, which reads the fewest operands for its sums.
template <class Tiles>
const Tiles& largest_tile(const Tiles* tiles, int count, i64 most) {
  const Tiles* best = nullptr;
  for (const Tiles* row = tiles; row < tiles + count; ++row) {
    if (row->columns > most) continue;
    const i64 gain = best ? row->rows * row->columns - best->rows * best->columns : 1;
    if (gain > 0 || (gain == 0 && round_up(most, row->columns) < round_up(most, best->columns))) best = row;
  }
  return *best;
}

// Covers columns [begin, end) of a block of `rows` rows: `compute(tile, column, left)` returns how many of the `left` ones it took.
template <class Tiles, class Compute>
void cover(const Tiles* tiles, int count, int rows, i64 begin, i64 end, const Compute& compute) {
  const i64 narrowest = tiles[count - 1].columns;
  const Tiles* row = tiles;
  for (i64 column = begin; column < end;) {
    // Rows are sorted from wide to narrow: what fits now is at or behind what fitted before.
    const i64 left = end - column, most = round_up(left, narrowest);
    while (row->rows < rows || row->columns > most) ++row;
    column += compute(*row, column, left);
  }
}

}  // namespace edgeort
