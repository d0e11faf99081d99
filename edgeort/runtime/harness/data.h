// Deterministic input data and output digests; edgeort/bundle/golden.py has the same in Python.
#pragma once
#include "edgeort.h"
#include "platform.h"

namespace edgeort {

// splitmix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
u64 mix(u64 x);

size_t dtype_bytes(int dtype);
i64 element_count(const edgeort_tensor& tensor);

// Element i of input k is made from bits = mix(mix(k) ^ i): floats lie in [-1, 1) on a grid that every float type holds
// (2^-23, float16 2^-10, bfloat16 2^-7), 8-bit integers cover their range, wider ones (which may be indices) lie in 0..127. A string is
// one of 32 letters and digits.
void fill_random(const edgeort_tensor& tensor, int input);

// The sum over all j of mix(mix(j) ^ word[j]), where the words are dtype, rank, dimensions, and the data as little-endian
// 64-bit words, zeros at the end; of each string its length, then its bytes; of each element that is a tensor the same again. Every NaN
// counts as the positive quiet one without payload.
u64 digest(const edgeort_tensor& tensor);

}  // namespace edgeort
