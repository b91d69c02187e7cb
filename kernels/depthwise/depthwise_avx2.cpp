#include "kernels/depthwise/depthwise_rows.h"
#include "kernels/vec/avx2.h"

#include "kernels/vec/act.inc"

#include "kernels/depthwise/body.inc"

namespace offramp::kernels {

void depthwise_avx2(const DepthwiseCall& call, const float* packed, i64 begin, i64 end) {
  depthwise_units(call, packed, begin, end);
}
void depthwise_input_grad_avx2(const DepthwiseGradCall& call, const float* packed, i64 begin, i64 end) {
  input_grad_units(call, packed, begin, end);
}
void depthwise_weight_grad_avx2(const DepthwiseGradCall& call, i64 sample_begin, i64 sample_end, i64 channel,
                                float* partial) {
  weight_grad_unit(call, sample_begin, sample_end, channel, partial);
}

}  // namespace offramp::kernels
