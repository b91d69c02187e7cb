#include "kernels/update/update_rows.h"
#include "kernels/vec/avx2.h"
// after Vec
#include "kernels/update/body.inc"

namespace offramp::kernels {

void sgd_avx2(const SgdCall& call, i64 begin, i64 end) {
  call.nesterov ? over_range(begin, end, SgdStep<true>(call)) : over_range(begin, end, SgdStep<false>(call));
}

void adamw_avx2(const AdamWCall& call, i64 begin, i64 end) { over_range(begin, end, AdamWStep(call)); }

void ema_avx2(const EmaCall& call, i64 begin, i64 end) { over_range(begin, end, EmaStep(call)); }

double sum_squares_avx2(i64 count, const float* x) {
  __m256d sum[4] = {_mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd()};
  i64 i = 0;
  for (; i + 16 <= count; i += 16)
    for (int k = 0; k < 4; ++k) {
      const __m256d v = _mm256_cvtps_pd(_mm_loadu_ps(x + i + 4 * k));
      sum[k] = _mm256_add_pd(sum[k], _mm256_mul_pd(v, v));
    }
  double lane[16];
  for (int k = 0; k < 4; ++k) _mm256_storeu_pd(lane + 4 * k, sum[k]);
  return finish_sum_squares(lane, x + i, count - i);
}

}  // namespace offramp::kernels
