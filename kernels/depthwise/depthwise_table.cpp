// THE LIST: rows of the depthwise family, best first, the general row last.
#include <array>

#include "kernels/depthwise/depthwise.h"
#include "kernels/depthwise/depthwise_rows.h"

namespace offramp::kernels {
namespace {

constexpr bool any(const DepthwiseDims&) { return true; }
// The sizes body.inc is instantiated for.
constexpr bool k357(const DepthwiseDims& d) {
  return (d.kernel == 3 || d.kernel == 5 || d.kernel == 7) && d.stride <= 2 && d.pad < d.kernel;
}

constexpr auto kForward = std::to_array<DepthwiseRow>({
    {"depthwise/357/avx512", Target::avx512, k357, 16, depthwise_avx512},
    {"depthwise/357/avx2", Target::avx2, k357, 8, depthwise_avx2},
    {"depthwise/any/portable", Target::portable, any, 16, depthwise_any_portable},
});
constexpr auto kInputGrad = std::to_array<DepthwiseInputGradRow>({
    {"depthwise_input_grad/357/avx512", Target::avx512, k357, 16, depthwise_input_grad_avx512},
    {"depthwise_input_grad/357/avx2", Target::avx2, k357, 8, depthwise_input_grad_avx2},
    {"depthwise_input_grad/any/portable", Target::portable, any, 16, depthwise_input_grad_any_portable},
});
constexpr auto kWeightGrad = std::to_array<DepthwiseWeightGradRow>({
    {"depthwise_weight_grad/357/avx512", Target::avx512, k357, 16, depthwise_weight_grad_avx512},
    {"depthwise_weight_grad/357/avx2", Target::avx2, k357, 8, depthwise_weight_grad_avx2},
    {"depthwise_weight_grad/any/portable", Target::portable, any, 16, depthwise_weight_grad_any_portable},
});

}  // namespace

std::span<const DepthwiseRow> depthwise_table() { return kForward; }
std::span<const DepthwiseInputGradRow> depthwise_input_grad_table() { return kInputGrad; }
std::span<const DepthwiseWeightGradRow> depthwise_weight_grad_table() { return kWeightGrad; }

}  // namespace offramp::kernels
