#include "kernels/pool/pool_rows.h"
#include "kernels/vec/avx512.h"

#include "kernels/pool/body.inc"

namespace offramp::kernels {

void pool_avx512(const PoolCall& call, i64 begin, i64 end) { pool_rows(call, begin, end); }
void pool_grad_avx512(const PoolGradCall& call, i64 begin, i64 end) { pool_grad_samples(call, begin, end); }
void global_avg_pool_avx512(const GlobalAvgPoolCall& call, i64 begin, i64 end) {
  global_avg_pool_samples(call, begin, end);
}
void global_avg_pool_grad_avx512(const GlobalAvgPoolGradCall& call, i64 begin, i64 end) {
  global_avg_pool_grad_samples(call, begin, end);
}

}  // namespace offramp::kernels
