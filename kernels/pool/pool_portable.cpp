#include "kernels/pool/pool_rows.h"
#include "kernels/vec/portable.h"

#include "kernels/pool/body.inc"

namespace offramp::kernels {

void pool_portable(const PoolCall& call, i64 begin, i64 end) { pool_rows(call, begin, end); }
void pool_grad_portable(const PoolGradCall& call, i64 begin, i64 end) { pool_grad_samples(call, begin, end); }
void global_avg_pool_portable(const GlobalAvgPoolCall& call, i64 begin, i64 end) {
  global_avg_pool_samples(call, begin, end);
}
void global_avg_pool_grad_portable(const GlobalAvgPoolGradCall& call, i64 begin, i64 end) {
  global_avg_pool_grad_samples(call, begin, end);
}

}  // namespace offramp::kernels
