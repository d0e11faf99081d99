// What went wrong with a model: the kind of failure, and the sentence that edgeort_last_error gives.
#include <stdarg.h>
#include <stdio.h>

#include "model.h"

namespace edgeort {
namespace {

void tell(Model& m, edgeort_status what, const char* format, va_list arguments) {
  m.failure = what;
  vsnprintf(m.error, sizeof(m.error), format, arguments);
}

}  // namespace

Status Model::fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  tell(*this, EDGEORT_FAILED, format, arguments);
  va_end(arguments);
  return Status::error;
}

Status Model::invalid(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  tell(*this, EDGEORT_INVALID_ARGUMENT, format, arguments);
  va_end(arguments);
  return Status::error;
}

Status Model::out_of_memory(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  tell(*this, EDGEORT_OUT_OF_MEMORY, format, arguments);
  va_end(arguments);
  return Status::error;
}

}  // namespace edgeort
