// Run functions of the rows: declarations only, so target files may include it.
#pragma once
#include "kernels/depthwise/depthwise_call.h"

namespace offramp::kernels {

void depthwise_any_portable(const DepthwiseCall& call, const float* packed, i64 begin, i64 end);
void depthwise_input_grad_any_portable(const DepthwiseGradCall& call, const float* packed, i64 begin,
                                       i64 end);
void depthwise_weight_grad_any_portable(const DepthwiseGradCall& call, i64 sample_begin, i64 sample_end,
                                        i64 channel, float* partial);

void depthwise_avx2(const DepthwiseCall& call, const float* packed, i64 begin, i64 end);
void depthwise_input_grad_avx2(const DepthwiseGradCall& call, const float* packed, i64 begin, i64 end);
void depthwise_weight_grad_avx2(const DepthwiseGradCall& call, i64 sample_begin, i64 sample_end, i64 channel,
                                float* partial);

void depthwise_avx512(const DepthwiseCall& call, const float* packed, i64 begin, i64 end);
void depthwise_input_grad_avx512(const DepthwiseGradCall& call, const float* packed, i64 begin, i64 end);
void depthwise_weight_grad_avx512(const DepthwiseGradCall& call, i64 sample_begin, i64 sample_end,
                                  i64 channel, float* partial);

}  // namespace offramp::kernels
