// What rows of libraries have in common: operands in one piece of scratch, and the epilogue, which is a pass
// of its own there. Only for .cu files.
#pragma once
#include "kernels/act/act_device.h"
#include "kernels/cuda/language.h"

namespace offramp::cuda {

// Parts of Gpu::scratch(), 256-byte aligned. Their room() is added first, then they are taken in order.
class ScratchParts {
 public:
  static constexpr i64 room(i64 bytes) { return (bytes + 255) / 256 * 256; }
  ScratchParts(Gpu& gpu, i64 bytes) : next_(reinterpret_cast<std::byte*>(gpu.scratch(ceil_div(bytes, 4)))) {}
  template <class T>
  T* take(i64 bytes) {
    return reinterpret_cast<T*>(std::exchange(next_, next_ + room(bytes)));
  }

 private:
  std::byte* next_;
};

template <class From, class T>
__global__ void epilogue_pass(i64 count, i64 n, const From* x, i64 x_row, const float* bias,
                              const T* residual, Act act, T* y, i64 y_row) {
  const i64 i = i64(blockIdx.x) * 256 + threadIdx.x;
  if (i >= count) return;
  const i64 row = i / n, column = i - row * n;
  float v = to_float(x[row * x_row + column]);
  if (bias) v += bias[column];
  if (residual) v += to_float(residual[row * y_row + column]);
  y[row * y_row + column] = T(apply_act(act, v));
}

// y = act(x + bias + residual), [rows][n]; residual has the distance of y. In place where x is y.
template <class From, class T>
void add_epilogue(Gpu& gpu, const char* op, i64 rows, i64 n, const From* x, i64 x_row, const float* bias,
                  const T* residual, Act act, T* y, i64 y_row) {
  const bool nothing = static_cast<const void*>(x) == y && !bias && !residual && act == Act::none;
  if (nothing) return;
  launch(gpu, {.op = op, .grid = ceil_div(rows * n, 256), .block = 256}, epilogue_pass<From, T>, rows * n, n,
         x, x_row, bias, residual, act, y, y_row);
}

}  // namespace offramp::cuda
