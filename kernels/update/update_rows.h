// Run functions of the vector rows: declarations only, so target files may include it.
#pragma once
#include "kernels/update/update_call.h"

namespace offramp::kernels {

void sgd_avx2(const SgdCall& call, i64 begin, i64 end);
void adamw_avx2(const AdamWCall& call, i64 begin, i64 end);
void ema_avx2(const EmaCall& call, i64 begin, i64 end);
double sum_squares_avx2(i64 count, const float* x);
void sgd_avx512(const SgdCall& call, i64 begin, i64 end);
void adamw_avx512(const AdamWCall& call, i64 begin, i64 end);
void ema_avx512(const EmaCall& call, i64 begin, i64 end);
double sum_squares_avx512(i64 count, const float* x);

}  // namespace offramp::kernels
