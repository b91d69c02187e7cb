// Run functions of the rows, and the struct they share: no function bodies, so target files may include it.
#pragma once
#include "kernels/resize/resize_call.h"

namespace offramp::kernels {

// Coefficients of one axis: output i is the sum over t of weight[i * taps + t] * input[index[i * taps + t]].
struct ResizeAxis {
  const i32* index;
  const float* weight;
};

void resize_portable(const ResizeCall& call, ResizeAxis rows, ResizeAxis cols, i64 begin, i64 end,
                     float* line);
void resize_grad_portable(const ResizeGradCall& call, ResizeAxis rows, ResizeAxis cols, i64 begin, i64 end,
                          float* line);
void resize_avx2(const ResizeCall& call, ResizeAxis rows, ResizeAxis cols, i64 begin, i64 end, float* line);
void resize_grad_avx2(const ResizeGradCall& call, ResizeAxis rows, ResizeAxis cols, i64 begin, i64 end,
                      float* line);
void resize_avx512(const ResizeCall& call, ResizeAxis rows, ResizeAxis cols, i64 begin, i64 end, float* line);
void resize_grad_avx512(const ResizeGradCall& call, ResizeAxis rows, ResizeAxis cols, i64 begin, i64 end,
                        float* line);

}  // namespace offramp::kernels
