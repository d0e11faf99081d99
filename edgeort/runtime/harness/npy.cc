#include "npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data.h"

namespace edgeort {
namespace {

// By the codes of edgeort_dtype. What NumPy lacks is stored, and may be read, as integers of the same size.
constexpr const char* kDescr[] = {"<f4", "|u1", "|i1", "<u2", "<i2", "<i4", "<i8", "|b1", "<f2", "<f8", "<u4", "<u8",
                                  "<u2", "|u1", "|u1", "|u1", "|u1", "|u1", "|u1", "|i1", "|u1", "|i1", "|u1"};
static_assert(sizeof(kDescr) / sizeof(*kDescr) == EDGEORT_U2 + 1);
constexpr char kMagic6[] = "\x93NUMPY";

int dtype_of(const char* descr, size_t length) {
  for (int code = 0; code <= EDGEORT_U64; ++code) {
    if (strlen(kDescr[code]) == length && strncmp(descr, kDescr[code], length) == 0) return code;
  }
  return -1;
}

// Past "'key':" and blanks, or null.
const char* value_of(const char* header, const char* key) {
  const char* at = strstr(header, key);
  if (!at) return nullptr;
  at += strlen(key);
  while (*at == ' ' || *at == ':') ++at;
  return at;
}

// The bytes of an element of '|S12', or 0.
u64 text_bytes(const char* descr) {
  const bool is_text = descr[0] == '\'' && (descr[1] == '|' || descr[1] == '<') && descr[2] == 'S';
  return is_text ? strtoull(descr + 3, nullptr, 10) : 0;
}

// Strings of a fixed size, zeros behind each.
const char* point_at_texts(edgeort_tensor* t, const u8* data, size_t size, u64 each) {
  const i64 n = element_count(*t);
  u64 all;
  if (__builtin_mul_overflow(static_cast<u64>(n), each, &all) || size != all) return "its size disagrees with its shape";
  auto* texts = static_cast<edgeort_string*>(allocate_pages(static_cast<size_t>(n + 1) * sizeof(edgeort_string)));
  if (!texts) return "memory is out";
  for (i64 i = 0; i < n; ++i) {
    texts[i] = {reinterpret_cast<const char*>(data) + static_cast<u64>(i) * each, each};
    while (texts[i].bytes && !texts[i].data[texts[i].bytes - 1]) --texts[i].bytes;
  }
  t->bytes = static_cast<size_t>(n) * sizeof(edgeort_string);
  t->data = texts;
  return nullptr;
}

// An element of a file of these strings.
u64 longest_text(const edgeort_tensor& t) {
  u64 longest = 1;
  for (i64 i = 0; i < element_count(t); ++i) {
    const u64 size = static_cast<const edgeort_string*>(t.data)[i].bytes;
    if (size > longest) longest = size;
  }
  return longest;
}

bool write_texts(FILE* file, const edgeort_tensor& t, u64 each) {
  bool good = true;
  for (i64 i = 0; good && i < element_count(t); ++i) {
    const edgeort_string& text = static_cast<const edgeort_string*>(t.data)[i];
    good = fwrite(text.data, 1, text.bytes, file) == text.bytes;
    for (u64 k = text.bytes; good && k < each; ++k) good = fputc(0, file) == 0;
  }
  return good;
}

// The dictionary literal that says dtype, order and shape.
const char* parse_header(const char* header, edgeort_tensor* t) {
  const char* descr = value_of(header, "'descr'");
  const char* order = value_of(header, "'fortran_order'");
  const char* shape = value_of(header, "'shape'");
  if (!descr || !order || !shape || *descr != '\'' || *shape != '(') return "its header is damaged";
  const char* end = strchr(descr + 1, '\'');
  t->dtype = text_bytes(descr) ? EDGEORT_STRING : end ? dtype_of(descr + 1, static_cast<size_t>(end - descr - 1)) : -1;
  if (t->dtype < 0) return "its element type is not one that the runtime has (little endian)";
  if (strncmp(order, "False", 5) != 0) return "it is in Fortran order; save it with numpy.ascontiguousarray";
  t->rank = 0;
  i64 elements = 1;
  for (const char* at = shape + 1;;) {
    while (*at == ' ' || *at == ',') ++at;
    if (*at == ')') return nullptr;
    char* stop;
    const long long dim = strtoll(at, &stop, 10);
    if (stop == at || dim < 0 || t->rank == EDGEORT_MAX_RANK) return "its shape is damaged or has too many dimensions";
    if (__builtin_mul_overflow(elements, i64{dim}, &elements) || elements > i64{1} << 40) return "it is too large";
    t->dims[t->rank++] = dim;
    at = stop;
  }
}

}  // namespace

const char* parse_npy(const u8* file, size_t size, edgeort_tensor* t) {
  if (size < 12 || memcmp(file, kMagic6, 6) != 0) return "it is not a .npy file";
  const bool first = file[6] == 1;
  u32 length = file[8] | static_cast<u32>(file[9]) << 8;
  if (!first) length |= static_cast<u32>(file[10]) << 16 | static_cast<u32>(file[11]) << 24;
  const size_t start = first ? 10 : 12;
  char header[4096];
  if (length >= sizeof(header) || length > size - start) return "its header is damaged";
  memcpy(header, file + start, length);
  header[length] = 0;
  if (const char* problem = parse_header(header, t)) return problem;
  const size_t offset = start + length;
  if (offset % 8) return "its data is not aligned; write it with a NumPy of this decade";
  if (t->dtype == EDGEORT_STRING) return point_at_texts(t, file + offset, size - offset, text_bytes(value_of(header, "'descr'")));
  if (size - offset != static_cast<u64>(element_count(*t)) * dtype_bytes(t->dtype)) return "its size disagrees with its shape";
  t->bytes = size - offset;
  t->data = const_cast<u8*>(file + offset);
  return nullptr;
}

void release_texts(const edgeort_tensor& tensor) {
  if (tensor.dtype == EDGEORT_STRING && tensor.data) free_pages(tensor.data, tensor.bytes + sizeof(edgeort_string));
}

bool read_npy(const char* path, Mapping* mapping, edgeort_tensor* tensor, char error[EDGEORT_ERROR_BYTES]) {
  const char* problem = nullptr;
  *mapping = map_file(path, &problem);
  if (mapping->data) problem = parse_npy(mapping->data, mapping->size, tensor);
  if (problem) {
    snprintf(error, EDGEORT_ERROR_BYTES, "%s: %s", path, problem);
    unmap(*mapping);
  }
  return !problem;
}

int stored_dtype(int dtype) { return dtype > EDGEORT_U2 ? dtype : dtype_of(kDescr[dtype], strlen(kDescr[dtype])); }

bool write_npy(FILE* file, const edgeort_tensor& t, bool (*head)(FILE*, size_t)) {
  if (t.dtype == EDGEORT_TENSOR) return false;
  const u64 each = t.dtype == EDGEORT_STRING ? longest_text(t) : 0;
  char header[256], descr[32];
  snprintf(descr, sizeof(descr), "|S%llu", static_cast<unsigned long long>(each));
  int n = snprintf(header, sizeof(header), "{'descr': '%s', 'fortran_order': False, 'shape': (", each ? descr : kDescr[t.dtype]);
  for (int d = 0; d < t.rank; ++d)
    n += snprintf(header + n, sizeof(header) - static_cast<size_t>(n), "%lld%s", static_cast<long long>(t.dims[d]),
                  t.rank == 1      ? ","
                  : d + 1 < t.rank ? ", "
                                   : "");
  n += snprintf(header + n, sizeof(header) - static_cast<size_t>(n), "), }");
  while ((10 + n + 1) % 64) header[n++] = ' ';
  header[n++] = '\n';
  const u8 preamble[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, static_cast<u8>(n & 255), static_cast<u8>(n >> 8)};
  const size_t length = static_cast<size_t>(n), bytes = static_cast<size_t>(element_count(t)) * (each ? each : dtype_bytes(t.dtype));
  if (head && !head(file, 10 + length + bytes)) return false;
  const bool good = fwrite(preamble, 1, 10, file) == 10 && fwrite(header, 1, length, file) == length;
  return good && (each ? write_texts(file, t, each) : fwrite(t.data, 1, bytes, file) == bytes);
}

bool write_npy(const char* path, const edgeort_tensor& t) {
  FILE* file = fopen(path, "wb");
  if (!file) return false;
  const bool good = write_npy(file, t);
  return fclose(file) == 0 && good;
}

}  // namespace edgeort
