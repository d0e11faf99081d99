#include "mutator.h"

#include <string.h>

#include "plan_layout.h"

using namespace edgeort;
using Bytes = std::vector<uint8_t>;

namespace {

// Values that are near some limit.
uint64_t interesting(Random& r) {
  static const int64_t values[] = {0,  1,  2,   3,   4,   5,     7,     8,       9,       15,         16,         17,        -1,
                                   -2, -3, -16, 255, 256, 65535, 65536, 1 << 20, 1 << 24, 0x7fffffff, 0x80000000, 0xffffffff};
  constexpr uint64_t n = sizeof(values) / sizeof(values[0]);
  const uint64_t pick = r.below(n + 6);
  if (pick < n) return static_cast<uint64_t>(values[pick]);
  const uint64_t rest[] = {r.next(),          uint64_t{1} << r.below(64), (uint64_t{1} << r.below(64)) - 1,
                           ~uint64_t{0} >> 1, uint64_t{1} << 40,          r.below(64)};
  return rest[pick - n];
}

class Mutator {
 public:
  Mutator(Bytes& plan, Random& random) : plan_(plan), r_(random) { memcpy(&header_, plan.data(), sizeof(header_)); }

  void mutate() {
    switch (r_.below(16)) {
      case 0:
        return flip();
      case 1:
        return cut();
      case 2:
        return word(0, sizeof(Header) / 8, 8);
      case 3:
        return tensor_type();
      case 4:
        return record(header_.tensors, sizeof(TensorRecord));
      case 5:
        return word(header_.dims[0], header_.dims[1], 8);
      case 6:
        return record(header_.nodes, sizeof(NodeRecord));
      case 7:
        return operands_count();
      case 8:
      case 9:
        return operand();
      case 10:
        return word(header_.data[0], header_.data[1] / 8, 8);
      case 11:
        return float_word();
      case 12:
        return word(header_.params[0], header_.params[1] / 8, 8);
      case 13:
        return byte(header_.params[0], header_.params[1]);
      default:
        return word(header_.params[0], header_.params[1] / 4, 4);
    }
  }

 private:
  void put(uint64_t at, const void* value, size_t size) {
    if (at <= plan_.size() && size <= plan_.size() - at) memcpy(plan_.data() + at, value, size);
  }

  void word(uint64_t offset, uint64_t n, size_t size) {
    const uint64_t value = interesting(r_);
    if (n) put(offset + r_.below(n) * size, &value, size);
  }

  void float_word() {
    const float values[] = {0.0f, -1.0f, 1e30f, -1e30f, 1e-30f, 0.5f, __builtin_nanf(""), __builtin_inff()};
    if (header_.params[1] >= 4) put(header_.params[0] + r_.below(header_.params[1] / 4) * 4, &values[r_.below(8)], 4);
  }

  void byte(uint64_t offset, uint64_t n) {
    const uint8_t value = static_cast<uint8_t>(r_.below(3) ? r_.below(40) : r_.next());
    if (n) put(offset + r_.below(n), &value, 1);
  }

  void flip() {
    for (uint64_t i = 0; i <= r_.below(4); ++i) {
      const uint64_t at = r_.below(r_.below(2) ? plan_.size() : header_.data[0]);
      if (at < plan_.size()) plan_[at] ^= static_cast<uint8_t>(1u << r_.below(8));
    }
  }

  void cut() {
    plan_.resize(r_.below(plan_.size()) + 1);
    const uint64_t size = plan_.size();
    if (r_.below(2)) put(offsetof(Header, size), &size, 8);
  }

  void record(const uint64_t table[2], size_t size) {
    if (!table[1]) return;
    const uint64_t at = table[0] + r_.below(table[1]) * size;
    if (r_.below(2)) return word(at, size / 4, 4);
    byte(at, size);
  }

  // Another element type or rank, which the reader accepts.
  void tensor_type() {
    if (!header_.tensors[1]) return;
    const uint64_t at = header_.tensors[0] + r_.below(header_.tensors[1]) * sizeof(TensorRecord);
    const uint8_t value = static_cast<uint8_t>(r_.below(kDTypes));
    if (r_.below(2)) {
      put(at + offsetof(TensorRecord, dtype), &value, 1);
    } else {
      const uint8_t rank = static_cast<uint8_t>(r_.below(kMaxRank + 1));
      put(at + offsetof(TensorRecord, rank), &rank, 1);
    }
  }

  // Fewer or more operands, and another operator.
  void operands_count() {
    if (!header_.nodes[1]) return;
    const uint64_t at = header_.nodes[0] + r_.below(header_.nodes[1]) * sizeof(NodeRecord);
    const uint16_t n = static_cast<uint16_t>(r_.below(5));
    const uint32_t op = static_cast<uint32_t>(r_.below(header_.ops[1]));
    switch (r_.below(3)) {
      case 0:
        return put(at + offsetof(NodeRecord, inputs), &n, 2);
      case 1:
        return put(at + offsetof(NodeRecord, outputs), &n, 2);
      default:
        return put(at + offsetof(NodeRecord, op), &op, 4);
    }
  }

  void operand() {
    const int32_t value = static_cast<int32_t>(r_.below(header_.tensors[1] + 1)) - 1;
    if (header_.operands[1]) put(header_.operands[0] + r_.below(header_.operands[1]) * 4, &value, 4);
  }

  Bytes& plan_;
  Random& r_;
  Header header_;
};

}  // namespace

void mutate_plan(std::vector<uint8_t>& plan, Random& random) {
  for (uint64_t i = 0; i <= random.below(3); ++i) {
    if (plan.size() > sizeof(Header)) Mutator(plan, random).mutate();
  }
}

Section params_of(const uint8_t* plan, size_t size) {
  Header header;
  if (size < sizeof(header)) return {0, 0};
  memcpy(&header, plan, sizeof(header));
  const bool within = header.params[0] <= size && header.params[1] <= size - header.params[0];
  return within ? Section{header.params[0], header.params[1]} : Section{0, 0};
}
