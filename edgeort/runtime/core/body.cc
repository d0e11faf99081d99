#include "body.h"

#include <string.h>

#include "model.h"

namespace edgeort {

int Body::inputs() const { return static_cast<int>(model_.plan.n_inputs); }
int Body::outputs() const { return static_cast<int>(model_.plan.n_outputs); }

bool Body::set(int input, const Tensor& value) const {
  Tensor& t = model_.tensors[model_.plan.inputs[input]].tensor;
  if (t.dtype != value.dtype) return false;
  bool same = t.rank == value.rank;
  for (int d = 0; d < value.rank; ++d) same = same && t.dims[d] == value.dims[d];
  if (!same) model_.change(model_.plan.inputs[input]);
  t = value;
  return true;
}

Status Body::prepare() const { return model_.prepare(); }
bool Body::is_whole() const { return model_.n_segments > 0 && model_.segments[0].end == model_.plan.n_nodes; }
Status Body::run() const { return model_.run(); }
const Tensor& Body::out(int output) const { return model_.tensors[model_.plan.outputs[output]].tensor; }
const char* Body::error() const { return model_.error; }

bool Growing::append(const void* from, size_t bytes) {
  if (bytes > ~size_t{0} / 4 - size) return false;
  if (size + bytes > capacity) {
    const size_t wanted = 2 * (size + bytes) < kBlockBytes ? kBlockBytes : 2 * (size + bytes);
    auto* moved = static_cast<u8*>(pages->take(wanted, false));
    if (!moved) return false;
    if (size) memcpy(moved, data, size);
    pages->give(data);
    data = moved;
    capacity = wanted;
  }
  if (bytes) memcpy(data + size, from, bytes);
  size += bytes;
  return true;
}

void Growing::free() {
  pages->give(data);
  *this = {pages, nullptr, 0, 0};
}

}  // namespace edgeort
