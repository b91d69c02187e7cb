// Run functions of the rows: declarations only, so target files may include it.
#pragma once
#include "kernels/act/act_call.h"

namespace offramp::kernels {

void act_portable(const ActCall& call, i64 begin, i64 end);
void act_grad_portable(const ActGradCall& call, i64 begin, i64 end);
void act_avx2(const ActCall& call, i64 begin, i64 end);
void act_grad_avx2(const ActGradCall& call, i64 begin, i64 end);
void act_avx512(const ActCall& call, i64 begin, i64 end);
void act_grad_avx512(const ActGradCall& call, i64 begin, i64 end);

}  // namespace offramp::kernels
