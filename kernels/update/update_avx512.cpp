#include "kernels/update/update_rows.h"
#include "kernels/vec/avx512.h"
// after Vec
#include "kernels/update/body.inc"

namespace offramp::kernels {

void sgd_avx512(const SgdCall& call, i64 begin, i64 end) {
  call.nesterov ? over_range(begin, end, SgdStep<true>(call)) : over_range(begin, end, SgdStep<false>(call));
}

void adamw_avx512(const AdamWCall& call, i64 begin, i64 end) { over_range(begin, end, AdamWStep(call)); }

void ema_avx512(const EmaCall& call, i64 begin, i64 end) { over_range(begin, end, EmaStep(call)); }

double sum_squares_avx512(i64 count, const float* x) {
  __m512d low = _mm512_setzero_pd(), high = _mm512_setzero_pd();
  i64 i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m512d a = _mm512_maskz_cvtps_pd(__mmask8(-1), _mm256_loadu_ps(x + i));
    const __m512d b = _mm512_maskz_cvtps_pd(__mmask8(-1), _mm256_loadu_ps(x + i + 8));
    low = _mm512_add_pd(low, _mm512_mul_pd(a, a));
    high = _mm512_add_pd(high, _mm512_mul_pd(b, b));
  }
  double lane[16];
  _mm512_storeu_pd(lane, low);
  _mm512_storeu_pd(lane + 8, high);
  return finish_sum_squares(lane, x + i, count - i);
}

}  // namespace offramp::kernels
