// Recurrent operators whose weights are compressed (gemm/compressed.h).
#include "sequence.h"

namespace edgeort {

EDGEORT_KERNELS(CompressedKernels, compressed)

namespace {

template <const Cell& cell>
Status prepare(Prepare& p) {
  return prepare_rnn(p, p.state<Rnn>(), cell, &compressed(p.isa()));
}

}  // namespace

extern const OpDef kCompressedLSTM, kCompressedGRU, kCompressedRNN;
const OpDef kCompressedLSTM = {"CompressedLSTM", sizeof(RnnParams), prepare<kLstmCell>, run_rnn};
const OpDef kCompressedGRU = {"CompressedGRU", sizeof(RnnParams), prepare<kGruCell>, run_rnn};
const OpDef kCompressedRNN = {"CompressedRNN", sizeof(RnnParams), prepare<kRnnCell>, run_rnn};

}  // namespace edgeort
