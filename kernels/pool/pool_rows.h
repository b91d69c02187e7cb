// Run functions of the rows: declarations only, so target files may include it.
#pragma once
#include "kernels/pool/pool_call.h"

namespace offramp::kernels {

void pool_portable(const PoolCall& call, i64 begin, i64 end);
void pool_grad_portable(const PoolGradCall& call, i64 begin, i64 end);
void global_avg_pool_portable(const GlobalAvgPoolCall& call, i64 begin, i64 end);
void global_avg_pool_grad_portable(const GlobalAvgPoolGradCall& call, i64 begin, i64 end);

void pool_avx2(const PoolCall& call, i64 begin, i64 end);
void pool_grad_avx2(const PoolGradCall& call, i64 begin, i64 end);
void global_avg_pool_avx2(const GlobalAvgPoolCall& call, i64 begin, i64 end);
void global_avg_pool_grad_avx2(const GlobalAvgPoolGradCall& call, i64 begin, i64 end);

void pool_avx512(const PoolCall& call, i64 begin, i64 end);
void pool_grad_avx512(const PoolGradCall& call, i64 begin, i64 end);
void global_avg_pool_avx512(const GlobalAvgPoolCall& call, i64 begin, i64 end);
void global_avg_pool_grad_avx512(const GlobalAvgPoolGradCall& call, i64 begin, i64 end);

}  // namespace offramp::kernels
