// What a row of the norm family computes, and the run functions: structs and declarations only, so target
// files may include it. Each function works on rows [begin,end) of one chunk, for all channels, in one
// thread.
#pragma once
#include "kernels/types.h"

namespace offramp::kernels {

// y = act((x - mean) * scale + beta)
struct NormApply {
  i64 c;
  const float *x, *mean, *scale, *beta;
  Act act;
  float* y;
};

// sum[ch] = sum of d, squares[ch] = sum of d*d, d = x - (x of row `begin`): the shift keeps both exact enough
// in float. Four rows are added as (d0+d1)+(d2+d3) before they join the sum, left-over rows one by one.
struct NormStatistics {
  i64 c;
  const float* x;
  float *sum, *squares;
};

// d = x - mean, dz = gy * act'(d*scale + beta).
struct NormBackward {
  i64 c;
  const float *x, *gy, *mean, *scale, *beta;
  Act act;
  float *sum, *sum_with_d;        // sums of dz and dz*d, order as above
  const float *of_mean, *of_var;  // gx = (scale*dz - of_mean) - d*of_var; both null: gx = scale*dz
  float* gx;
};

void norm_apply_portable(const NormApply& w, i64 begin, i64 end);
void norm_statistics_portable(const NormStatistics& w, i64 begin, i64 end);
void norm_sums_portable(const NormBackward& w, i64 begin, i64 end);
void norm_gx_portable(const NormBackward& w, i64 begin, i64 end);

void norm_apply_avx2(const NormApply& w, i64 begin, i64 end);
void norm_statistics_avx2(const NormStatistics& w, i64 begin, i64 end);
void norm_sums_avx2(const NormBackward& w, i64 begin, i64 end);
void norm_gx_avx2(const NormBackward& w, i64 begin, i64 end);

void norm_apply_avx512(const NormApply& w, i64 begin, i64 end);
void norm_statistics_avx512(const NormStatistics& w, i64 begin, i64 end);
void norm_sums_avx512(const NormBackward& w, i64 begin, i64 end);
void norm_gx_avx512(const NormBackward& w, i64 begin, i64 end);

}  // namespace offramp::kernels
