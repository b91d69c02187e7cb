// Copies, sums and fills of strided arrays on the card: what tensors need beside the kernel families.
#pragma once
#include <span>

#include "kernels/bf16.h"
#include "kernels/cuda/gpu.h"

namespace offramp::cuda {

inline constexpr int kMostAxes = 6;

// Element (i0, i1, ...) lies at sum of i * step on either side; steps in elements.
struct Strided {
  int axes = 0;
  i64 extent[kMostAxes] = {}, to[kMostAxes] = {}, from[kMostAxes] = {};
  constexpr i64 count() const {
    i64 n = 1;
    for (int a = 0; a < axes; ++a) n *= extent[a];
    return n;
  }
};

// to = from, converted. For equal types, float <-> Bf16 and u8 -> float.
template <class To, class From>
void strided_copy(Gpu& gpu, const Strided& walk, To* to, const From* from);
// to += from; float, double, Bf16.
template <class T>
void strided_add(Gpu& gpu, const Strided& walk, T* to, const T* from);
// The same for each of a list, in few launches. No two `to` have an element in common.
struct StridedSum {
  Strided walk;
  float* to;
  const float* from;
};
void strided_add(Gpu& gpu, std::span<const StridedSum> list);
// to [rows][length] = from [index of the row]; indices are not looked at.
template <class T>
void take_rows(Gpu& gpu, i64 rows, i64 length, const T* from, const i64* index, T* to);
// to = value, by the steps of `to`.
template <class T>
void strided_fill(Gpu& gpu, const Strided& walk, T* to, T value);
// to [count] = factor * from; float, Bf16; may be in place.
template <class T>
void scale(Gpu& gpu, i64 count, const T* from, float factor, T* to);
// out [c] = sum over the rows of x [rows][c]: the gradient of a bias, so it goes aside.
template <class T>
void column_sum(Gpu& gpu, i64 rows, i64 c, const T* x, float* out);

}  // namespace offramp::cuda
