// Plans within a plan: the bodies of control flow. A body is a model of its own, which shares the threads of the one around it.
#pragma once
#include "op.h"

namespace edgeort {

class Body {
 public:
  explicit Body(Model& model) : model_(model) {}

  int inputs() const;
  int outputs() const;
  // Gives an input a shape and, for a run, data, which is read in place. False when its element type is another.
  bool set(int input, const Tensor& value) const;
  // Infers what shapes depend on shapes alone.
  Status prepare() const;
  // Whether that was all: then a run cannot fail, and takes no memory.
  bool is_whole() const;
  Status run() const;
  // Its data holds until the next run.
  const Tensor& out(int output) const;
  const char* error() const;

 private:
  friend class Prepare;
  Model& model_;
};

// Memory of `pages` that grows.
struct Growing {
  Pages* pages;
  u8* data;
  size_t size, capacity;
  // False when memory is out.
  bool append(const void* from, size_t bytes);
  void free();
};

}  // namespace edgeort
