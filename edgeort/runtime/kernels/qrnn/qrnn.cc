// Recurrent operators with products of integers: X, all of it at once, and the state, at every step, become bytes by the range of the
// whole tensor, as com.microsoft's DynamicQuantizeLSTM has it. Weights are int8 with a scale for each column.
#include "../rnn/sequence.h"
#include "product.h"

namespace edgeort {

EDGEORT_KERNELS(QGemmKernels, qgemm)
EDGEORT_KERNELS(RowKernels, qgemm_rows)

namespace {

// Behind the operator's own inputs: a sum and a scale for each column of W's panels, then of R's.
constexpr QRnnInputs kOfW = {1, 8, 9}, kOfR = {2, 10, 11};
constexpr int kMaxDirections = 2;
constexpr i64 kMostRows = i64{1} << 16;  // whose products a sum of int32 holds

struct QRnn : Rnn {
  const RowKernels* rows;
  QRnnProduct of_input[kMaxDirections], of_state[kMaxDirections][kMaxGroups];
  u64 at_scales;  // behind the bytes, in the scratch
};

bool is_vector(const Tensor& t, DType dtype, i64 n) { return t.dtype == dtype && t.rank == 1 && t.dims[0] == n; }

// The constants of products that lie one behind the other.
Status bind(Prepare& p, const QRnnInputs& inputs, QRnnProduct* const* products, int count) {
  const QGemmKernels& kernels = qgemm(p.isa());
  const bool wide = p.params<RnnParams>().packed > 1 && kernels.wide;
  i64 weights = 0, columns = 0, most = 0;
  for (int i = 0; i < count; ++i) {
    products[i]->tiles = wide ? kernels.wide : kernels.tiles;
    products[i]->tile_count = wide ? 1 : kernels.count;
    products[i]->input = inputs.weights;
    products[i]->first = weights;
    weights += products[i]->bytes();
    columns += products[i]->padded();
    most = max_of(most, products[i]->padded());
  }
  if (!p.has(inputs.sums) || !p.has(inputs.scale) || !is_vector(p.in(inputs.weights), DType::i8, weights) ||
      !is_vector(p.in(inputs.sums), DType::i32, columns) || !is_vector(p.in(inputs.scale), DType::f32, columns))
    return p.fail("its weights must be %lld int8, with %lld sums and scales", (long long)weights, (long long)columns);
  const auto* sums = static_cast<const i32*>(p.value(inputs.sums));
  const auto* scale = static_cast<const f32*>(p.value(inputs.scale));
  if (!sums || !scale || !p.is_known(inputs.weights)) return p.fail("its weights, sums and scales must be constants");
  const auto* zeros = static_cast<const i32*>(p.keep(static_cast<u64>(most * kernels.bias_lanes) * sizeof(i32)));
  if (!zeros) return p.out_of_memory();
  for (int i = 0; i < count; ++i) {
    products[i]->zeros = zeros;
    products[i]->sums = sums;
    products[i]->scale = scale;
    sums += products[i]->padded();
    scale += products[i]->padded();
  }
  return Status::ok;
}

void multiply(const Run& r, const Rnn& rnn, int direction, int group, const f32* x, i64 rows, const f32* offset, f32* out) {
  const auto& s = static_cast<const QRnn&>(rnn);
  const QRnnProduct& product = group == kOfInput ? s.of_input[direction] : s.of_state[direction][group];
  u8* scratch = static_cast<u8*>(r.scratch()) + s.scratch_bytes;
  auto* bytes = reinterpret_cast<q8*>(scratch);
  auto* scales = reinterpret_cast<RowScale*>(scratch + s.at_scales);
  const RowScale scale = s.rows->quantise(x, rows * product.k, bytes);
  for (i64 i = 0; i < rows; ++i) scales[i] = scale;
  product.multiply(r, bytes, rows, scales, offset, out);
}

template <const Cell& cell>
Status prepare(Prepare& p) {
  auto* s = p.state<QRnn>();
  if (!s) return p.out_of_memory();
  s->integers = multiply;
  s->rows = &qgemm_rows(p.isa());
  if (!p.params<RnnParams>().packed) return p.fail("integer weights must be packed");
  EDGEORT_TRY(prepare_rnn(p, s, cell, nullptr));
  if (s->inputs < 1 || s->inputs > kMostRows || s->hidden > kMostRows) return p.fail("a dimension is out of range");
  QRnnProduct *of_w[kMaxDirections], *of_r[kMaxDirections * kMaxGroups];
  int directions = 0, groups = 0;
  for (; directions < static_cast<int>(s->params->directions); ++directions) {
    of_w[directions] = &s->of_input[directions];
    of_w[directions]->n = s->gates * s->hidden;
    of_w[directions]->k = s->inputs;
    for (int g = 0; g < cell.groups; ++g) {
      QRnnProduct* product = of_r[groups++] = &s->of_state[directions][g];
      product->n = cell.gates[g] * s->hidden;
      product->k = s->hidden;
    }
  }
  EDGEORT_TRY(bind(p, kOfW, of_w, directions));
  EDGEORT_TRY(bind(p, kOfR, of_r, groups));
  for (int i = 0; i < directions; ++i) of_w[i]->cut(s->steps * s->batch, p.threads());
  for (int i = 0; i < groups; ++i) of_r[i]->cut(s->batch, p.threads());
  const i64 rows = s->steps * s->batch;
  s->at_scales = static_cast<u64>(round_up(max_of(rows * s->inputs, s->batch * s->hidden), i64{kAlignment}));
  p.scratch(s->scratch_bytes + s->at_scales + static_cast<u64>(max_of(rows, s->batch)) * sizeof(RowScale));
  return Status::ok;
}

}  // namespace

extern const OpDef kDynamicQLSTM, kDynamicQGRU, kDynamicQRNN;
const OpDef kDynamicQLSTM = {"DynamicQLSTM", sizeof(RnnParams), prepare<kLstmCell>, run_rnn};
const OpDef kDynamicQGRU = {"DynamicQGRU", sizeof(RnnParams), prepare<kGruCell>, run_rnn};
const OpDef kDynamicQRNN = {"DynamicQRNN", sizeof(RnnParams), prepare<kRnnCell>, run_rnn};

}  // namespace edgeort
