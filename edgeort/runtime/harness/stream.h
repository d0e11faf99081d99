// A harness that keeps running: samples come in on stdin, answers go out on stdout, one after the other.
//
// Both ways the stream is made of frames: u32 0x53524f45, u32 kind, u64 size, then `size` bytes, little-endian. A sample is
// kSample without bytes, then a frame for each input; its answer is a frame for each output. The end of stdin ends the program.
#pragma once
#include "edgeort.h"
#include "platform.h"

namespace edgeort {

enum : u32 {
  kArray = 0,    // a .npy file
  kPalette = 1,  // u64 channels, u64 inner, float32 [channels][256], then a .npy file of bytes: element i of the float32 input is
                 // entry byte[i] of table (i / inner) % channels
  kFailed = 2,   // why there is no answer: the last frame
  kOverRamLimit = 3,
  kSample = 4,
};

// Answers until the stream ends. The status of the program: 0, 3 over the plan's limit, or 2.
int answer_stream(edgeort_model* model);

}  // namespace edgeort
