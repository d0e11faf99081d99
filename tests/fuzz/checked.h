// The runtime with every allocation apart (so that AddressSanitizer sees each one's ends) and every operator watched:
//   - while a node runs, the arena is poisoned but for the node's operands and scratch;
//   - a tensor that a node reads has the bytes that its producer left: nothing in between took its memory;
//   - memory beyond a limit is refused, so that the runtime's out-of-memory paths run.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <vector>

#include "edgeort.h"

// Deliberate bugs of the memory's plan, to see that they are found.
enum class Bug { none, share_one_place, one_line_short };

struct Limits {
  size_t memory_bytes;  // of everything that the runtime allocates for one model
  uint32_t run_ms;      // of one prepare and run; 0: no limit
  Bug bug;
  int64_t most_rows;  // inputs that may be states are, with room for 1 to so many rows; 0: none is
};

enum class Outcome { refused, failed, late, ran };

// What an input is given; a plan's inputs beyond those given, or of another shape, are filled at random.
struct Input {
  std::vector<int64_t> dims;
  std::vector<uint8_t> data;
};

// Opens the plan, fills its inputs, runs it `runs` times, and closes it. A broken promise ends the process.
Outcome run_plan(const std::vector<uint8_t>& plan, const std::vector<Input>& inputs, int threads, const char* isa, uint64_t seed, int runs,
                 const Limits& limits, char* error);

// A small generator of pseudo-random numbers (xorshift64*).
struct Random {
  uint64_t state;
  explicit Random(uint64_t seed) : state(seed * 0x9E3779B97F4A7C15u + 0x1234567u) { next(), next(); }
  uint64_t next() {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545F4914F6CDD1Du;
  }
  uint64_t below(uint64_t n) { return n ? (next() >> 11) % n : 0; }
};
