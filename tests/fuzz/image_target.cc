// libFuzzer: the steps in front of a model that make its input of a picture. An input is what becomes of the picture, its size, and what
// its table is of; around them there is a plan of that one node, which is opened, prepared and run.
#include <stdlib.h>
#include <string.h>

#include "checked.h"
#include "plan_layout.h"

using namespace edgeort;

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t most);

namespace {

struct Asked {  // seeds.py writes the same
  PictureParams params;
  u32 sides[2];
  u8 table;    // of kTables
  u8 is_free;  // whether the plan leaves the sides open
  u8 level;    // 0: the best that there is
  u8 lacks;    // whether there is little memory
};

constexpr DType kTables[] = {DType::f32, DType::u8, DType::i8, DType::f16, DType::i32};
constexpr u64 kMostPixels = u64{1} << 14;  // that are filled in and run; larger pictures are prepared alone

struct Image {
  Header header;
  TensorRecord tensors[3];
  NodeRecord node;
  i64 dims[5];
  PictureParams params;
  i32 operands[5];
  u32 ops[1];
  char strings[8];
  alignas(kAlignment) u8 data[4 * 256 * 4];
};

template <class T, size_t n>
void point(u64 (&section)[2], size_t offset, const T (&)[n]) {
  section[0] = offset, section[1] = n;
}

u32 channels_of(const PictureParams& params) {
  return params.channels >= 1 && params.channels <= 4 ? static_cast<u32>(params.channels) : 1;
}

// The plan, and how much of `image` it is.
size_t write_plan(const Asked& asked, Image* image) {
  const DType type = kTables[asked.table % (sizeof(kTables) / sizeof(*kTables))];
  const u32 channels = channels_of(asked.params), bytes = channels * 256 * kDTypeSize[static_cast<u8>(type)];
  *image = {};
  Header& h = image->header;
  memcpy(h.magic, kMagic, sizeof(kMagic));
  h.version = kVersion, h.size = offsetof(Image, data) + bytes;
  point(h.tensors, offsetof(Image, tensors), image->tensors);
  point(h.ops, offsetof(Image, ops), image->ops);
  point(h.operands, offsetof(Image, operands), image->operands);
  point(h.dims, offsetof(Image, dims), image->dims);
  point(h.strings, offsetof(Image, strings), image->strings);
  h.nodes[0] = offsetof(Image, node), h.nodes[1] = 1;
  h.bounds[0] = offsetof(Image, dims);
  h.params[0] = offsetof(Image, params), h.params[1] = sizeof(PictureParams);
  h.data[0] = offsetof(Image, data), h.data[1] = bytes;
  h.inputs[0] = 3, h.inputs[1] = 1, h.outputs[0] = 4, h.outputs[1] = 1;
  memcpy(image->strings, "Picture", sizeof(image->strings));
  constexpr u32 kNameless = sizeof(image->strings) - 1;
  image->tensors[0] = {0, 0, kNameless, 0, static_cast<u8>(Kind::input), static_cast<u8>(DType::u8), 3, 0, {}};
  image->tensors[1] = {0, bytes, kNameless, 3, static_cast<u8>(Kind::constant), static_cast<u8>(type), 2, 0, {}};
  image->tensors[2].name = kNameless;
  image->node = {0, sizeof(PictureParams), kNameless, 0, 0, 2, 1, 0};
  image->params = asked.params;
  const i64 dims[] = {asked.is_free & 1 ? -1 : i64{asked.sides[0]}, asked.is_free & 1 ? -2 : i64{asked.sides[1]}, asked.params.source,
                      i64{channels}, 256};
  memcpy(image->dims, dims, sizeof(dims));
  const i32 operands[] = {0, 1, 2, 0, 2};
  memcpy(image->operands, operands, sizeof(operands));
  return h.size;
}

// A size near some limit, or a small one.
u32 number(Random& random) {
  static const u32 limits[] = {255, 256, 65535, 65536, 65537, 1 << 20, (1 << 20) + 1, 1u << 28, 0x7fffffff, 0x80000000, 0xffffffff};
  switch (random.below(8)) {
    case 0:
      return limits[random.below(sizeof(limits) / sizeof(*limits))];
    case 1:
      return static_cast<u32>(random.next());
    case 2:
    case 3:
      return static_cast<u32>(random.below(300));
    default:
      return static_cast<u32>(random.below(12));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Asked asked;
  if (size != sizeof(asked)) return -1;
  memcpy(&asked, data, sizeof(asked));
  const u64 pixels = u64{asked.sides[0]} * asked.sides[1];
  const bool runs = pixels <= kMostPixels && static_cast<u32>(asked.params.source) <= 4;
  if (!runs) asked.is_free = 0;
  static Image image;
  const size_t bytes = write_plan(asked, &image);
  const auto* begin = reinterpret_cast<const uint8_t*>(&image);
  const std::vector<uint8_t> plan(begin, begin + bytes);
  const std::vector<Input> inputs = {{{asked.sides[0], asked.sides[1], asked.params.source}, {}}};
  static const char* const levels[] = {nullptr, nullptr, "v3", "v4"};  // which other machines refuse
  const char* level = levels[asked.level % 4];
  const Limits limits = {asked.lacks & 1 ? size_t{1} << 13 : size_t{1} << 18, 25, Bug::none, 0};
  char error[EDGEORT_ERROR_BYTES] = {};
  const Outcome outcome = run_plan(plan, inputs, 1, level, pixels + 1, runs ? 1 : 0, limits, error);
  return outcome == Outcome::late ? -1 : 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t most, unsigned seed) {
  if (size != sizeof(Asked) || most < size) {
    memset(data, 0, most);
    return sizeof(Asked) < most ? sizeof(Asked) : most;
  }
  Random random(seed);
  if (random.below(8) == 0) return LLVMFuzzerMutate(data, size, size), size;
  constexpr u64 kWords = offsetof(Asked, table) / sizeof(u32);
  for (u64 i = 0; i <= random.below(4); ++i) {
    const u64 place = random.below(kWords + 2);
    const u32 value = number(random);
    if (place < kWords) {
      memcpy(data + place * sizeof(u32), &value, sizeof(value));
    } else {
      data[offsetof(Asked, table) + random.below(4)] = static_cast<u8>(value);
    }
  }
  return size;
}
