// DFT. Operands: x [..., n, ..., 1 or 2], the length (or none), the axis (or none: a parameter). flag: 1 inverse, 2 onesided.
//
// Computed in float64: by halving where the length is a power of two (Cooley and Tukey 1965), else by the definition.
#include "../move/args.h"

namespace edgeort {
namespace {

struct Complex {
  f64 re, im;
};

struct State {
  i64 outer, inner, given, n, kept;  // kept: entries of the result
  int parts_in, parts_out;
  bool inverse, onesided;
  Complex* roots;  // exp(-2 pi i k / n)
};

// cos and sin of pi / 4 * part / whole, in [0, pi / 4]: series that end below 2^-56.
Complex of_octant(i64 part, i64 whole) {
  const f64 x = 0.78539816339744830962 * static_cast<f64>(part) / static_cast<f64>(whole), z = x * x;
  f64 c = 1, s = 1;
  for (int k = 18; k > 0; k -= 2) {
    c = 1 - c * z / (k * (k - 1));
    s = 1 - s * z / (k * (k + 1));
  }
  return {c, s * x};
}

Complex root(i64 k, i64 n) {
  const i64 octant = 8 * k / n, part = 8 * k % n;
  const Complex t = of_octant(octant & 1 ? n - part : part, n);
  const bool swap = ((octant + 1) >> 1) & 1;
  const f64 c = swap ? t.im : t.re, s = swap ? t.re : t.im;
  return {octant >= 2 && octant < 6 ? -c : c, octant < 4 ? -s : s};
}

Complex times(Complex a, Complex b) { return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re}; }

void by_definition(const Complex* roots, i64 n, const Complex* x, Complex* y) {
  for (i64 k = 0; k < n; ++k) {
    Complex sum = {0, 0};
    for (i64 i = 0, at = 0; i < n; ++i, at = at + k < n ? at + k : at + k - n) {
      const Complex t = times(x[i], roots[at]);
      sum = {sum.re + t.re, sum.im + t.im};
    }
    y[k] = sum;
  }
}

void by_halving(const Complex* roots, i64 n, const Complex* x, Complex* y) {
  for (i64 i = 0, mirrored = 0; i < n; ++i) {
    y[mirrored] = x[i];
    i64 bit = n >> 1;
    for (; bit > 0 && (mirrored & bit); bit >>= 1) mirrored ^= bit;
    mirrored |= bit;
  }
  for (i64 half = 1; half < n; half *= 2) {
    for (i64 first = 0; first < n; first += 2 * half) {
      for (i64 k = 0; k < half; ++k) {
        Complex& a = y[first + k];
        Complex& b = y[first + k + half];
        const Complex t = times(b, roots[k * (n / (2 * half))]);
        b = {a.re - t.re, a.im - t.im};
        a = {a.re + t.re, a.im + t.im};
      }
    }
  }
}

constexpr i64 kLongest = i64{1} << 24;

Status length_of(Prepare& p, State* s) {
  const bool half_in = s->inverse && s->onesided;
  s->n = half_in ? 2 * (s->given - 1) : s->given;
  if (p.has(1)) {
    Integers length;
    EDGEORT_TRY(integers_of(p, 1, 1, &length));
    if (length.n != 1) return p.fail("its length must be one integer");
    s->n = length[0];
  }
  if (s->n < 1 || s->n > kLongest) return p.fail("its length %lld is out of range", static_cast<long long>(s->n));
  s->kept = s->onesided && !s->inverse ? s->n / 2 + 1 : s->n;
  return Status::ok;
}

Status prepare(Prepare& p) {
  EDGEORT_TRY(need(p, 1, 1));
  const Tensor& x = p.in(0);
  const auto& params = p.params<AxisParams>();
  auto* s = p.state<State>();
  if (!s) return p.out_of_memory();
  if (x.dtype != DType::f32 && x.dtype != DType::f64) return p.fail("its input must be float32 or float64");
  if (x.rank < 2 || x.dims[x.rank - 1] < 1 || x.dims[x.rank - 1] > 2) return p.fail("its last axis must have one entry or two");
  i64 wanted = params.axis;
  if (p.has(2)) {
    Integers given;
    EDGEORT_TRY(integers_of(p, 2, 1, &given));
    if (given.n != 1) return p.fail("its axis must be one integer");
    wanted = given[0];
  }
  int axis;
  EDGEORT_TRY(axis_of(p, wanted, x.rank, &axis));
  if (axis == x.rank - 1) return p.fail("its axis is that of real and imaginary parts");
  s->inverse = params.flag & 1;
  s->onesided = params.flag & 2;
  s->given = x.dims[axis];
  EDGEORT_TRY(length_of(p, s));
  s->parts_in = static_cast<int>(x.dims[x.rank - 1]);
  s->parts_out = s->inverse && s->onesided ? 1 : 2;
  s->outer = count(x, 0, axis);
  s->inner = count(x, axis + 1, x.rank - 1);
  i64 dims[kMaxRank];
  for (int d = 0; d < x.rank; ++d) dims[d] = x.dims[d];
  dims[axis] = s->kept;
  dims[x.rank - 1] = s->parts_out;
  EDGEORT_TRY(p.set(0, x.dtype, dims, x.rank));
  s->roots = static_cast<Complex*>(p.keep(static_cast<u64>(s->n) * sizeof(Complex)));
  if (!s->roots) return p.out_of_memory();
  for (i64 k = 0; k < s->n; ++k) s->roots[k] = root(k, s->n);
  p.thread_scratch(2 * static_cast<u64>(s->n) * sizeof(Complex));
  return Status::ok;
}

// One line of the input, cut or filled with zeros; half a spectrum is completed, an inverse conjugated.
template <class T>
void read_line(const State& s, const T* from, Complex* line) {
  const i64 step = s.inner * s.parts_in, most = s.inverse && s.onesided ? s.n / 2 + 1 : s.n;
  for (i64 i = 0; i < s.n; ++i) line[i] = {0, 0};
  for (i64 i = 0; i < min_of(s.given, most); ++i) {
    const f64 im = s.parts_in == 2 ? static_cast<f64>(from[i * step + 1]) : 0;
    line[i] = {static_cast<f64>(from[i * step]), s.inverse ? -im : im};
  }
  for (i64 i = most; i < s.n; ++i) line[i] = {line[s.n - i].re, -line[s.n - i].im};
}

template <class T>
void run_lines(Run& r) {
  const State& s = r.state<State>();
  const T* x = r.in(0).as<const T>();
  T* y = r.out(0).as<T>();
  const bool halves = (s.n & (s.n - 1)) == 0;
  const f64 scale = s.inverse ? 1.0 / static_cast<f64>(s.n) : 1.0, sign = s.inverse ? -1.0 : 1.0;
  r.ranges(s.outer * s.inner, 1, [&](i64 begin, i64 end, int thread) {
    Complex* line = static_cast<Complex*>(r.thread_scratch(thread));
    Complex* made = line + s.n;
    for (i64 at = begin; at < end; ++at) {
      const i64 outer = at / s.inner, inner = at % s.inner;
      read_line(s, x + (outer * s.given * s.inner + inner) * s.parts_in, line);
      (halves ? by_halving : by_definition)(s.roots, s.n, line, made);
      T* to = y + (outer * s.kept * s.inner + inner) * s.parts_out;
      for (i64 k = 0; k < s.kept; ++k, to += s.inner * s.parts_out) {
        to[0] = static_cast<T>(made[k].re * scale);
        if (s.parts_out == 2) to[1] = static_cast<T>(made[k].im * scale * sign);
      }
    }
  });
}

void run(Run& r) { r.in(0).dtype == DType::f32 ? run_lines<f32>(r) : run_lines<f64>(r); }

}  // namespace

extern const OpDef kDFT;
const OpDef kDFT = {"DFT", sizeof(AxisParams), prepare, run};

}  // namespace edgeort
