#include "strided.h"

#include "../../core/texts.h"

namespace edgeort {
namespace {

constexpr i64 kPieceBytes = 1 << 16;

template <class T>
void copy_row(u8* to, i64 to_step, const u8* from, i64 from_step, i64 n) {
  if (from_step == 0 && to_step == sizeof(T)) {
    T value;
    memcpy(&value, from, sizeof(T));
    T* dst = reinterpret_cast<T*>(to);
    for (i64 i = 0; i < n; ++i) dst[i] = value;
    return;
  }
  for (i64 i = 0; i < n; ++i) memcpy(to + i * to_step, from + i * from_step, sizeof(T));
}

void copy_row(u8* to, i64 to_step, const u8* from, i64 from_step, i64 n, i64 size) {
  if (to_step == size && from_step == size) {
    memcpy(to, from, static_cast<size_t>(n * size));
  } else if (size == 1) {
    copy_row<u8>(to, to_step, from, from_step, n);
  } else if (size == 2) {
    copy_row<u16>(to, to_step, from, from_step, n);
  } else if (size == 4) {
    copy_row<u32>(to, to_step, from, from_step, n);
  } else if (size == 8) {
    copy_row<u64>(to, to_step, from, from_step, n);
  } else {
    copy_row<Text>(to, to_step, from, from_step, n);
  }
}

}  // namespace

void strides_of(const Tensor& tensor, i64* strides) {
  i64 stride = static_cast<i64>(size_of(tensor.dtype));
  for (int i = tensor.rank - 1; i >= 0; --i) {
    strides[i] = stride;
    // Without elements the other dimensions may be anything.
    const i64 step = i == tensor.rank - 1 ? pitch_of(tensor) : i == tensor.rank - 2 && tensor.capacity ? tensor.capacity : tensor.dims[i];
    if (__builtin_mul_overflow(stride, step, &stride)) stride = 0;
  }
}

void Strided::add(i64 dim, i64 in_stride, i64 out_stride) {
  if (dim == 1) return;
  if (rank > 0 && in[rank - 1] == dim * in_stride && out[rank - 1] == dim * out_stride) --rank, dim *= dims[rank];
  dims[rank] = dim;
  in[rank] = in_stride;
  out[rank++] = out_stride;
}

void Strided::finish() {
  while (rank > 0 && in[rank - 1] == size && out[rank - 1] == size) {
    const i64 n = dims[rank - 1];
    if (n != 2 && n != 4 && n != 8) break;
    if (size * n > 8) break;
    size *= n;
    --rank;
  }
  if (rank > 0) return;
  dims[0] = 1;
  in[0] = out[0] = size;
  rank = 1;
}

i64 Strided::rows() const {
  i64 n = 1;
  for (int i = 0; i + 1 < rank; ++i) n *= dims[i];
  return n;
}

void Strided::start_part(const Tensor& part, const Tensor& whole, bool put) {
  i64 own[kMaxRank], of_whole[kMaxRank];
  strides_of(part, own);
  strides_of(whole, of_whole);
  start(size_of(part.dtype));
  for (int i = 0; i < part.rank; ++i) add(part.dims[i], put ? own[i] : of_whole[i], put ? of_whole[i] : own[i]);
  finish();
}

void Strided::run(const Run& r, void* to, const void* from) const {
  const int last = rank - 1;
  const i64 n = dims[last], all = rows();
  if (n == 0 || all == 0) return;
  const i64 piece = min_of(n, kPieceBytes / size), pieces = ceil_div(n, piece);
  r.ranges(all * pieces, max_of(1, kPieceBytes / (piece * size)), [&](i64 begin, i64 end, int) {
    i64 at[kMaxAxes], source = 0, target = 0;
    for (i64 rest = begin / pieces, d = last - 1; d >= 0; rest /= dims[d--]) {
      at[d] = rest % dims[d];
      source += at[d] * in[d];
      target += at[d] * out[d];
    }
    i64 column = begin % pieces * piece;
    for (i64 i = begin; i < end; ++i) {
      const u8* src = static_cast<const u8*>(from) + source + column * in[last];
      copy_row(static_cast<u8*>(to) + target + column * out[last], out[last], src, in[last], min_of(piece, n - column), size);
      if ((column += piece) < n) continue;
      column = 0;
      for (int d = last - 1; d >= 0; --d) {
        source += in[d];
        target += out[d];
        if (++at[d] < dims[d]) break;
        source -= dims[d] * in[d];
        target -= dims[d] * out[d];
        at[d] = 0;
      }
    }
  });
}

}  // namespace edgeort
