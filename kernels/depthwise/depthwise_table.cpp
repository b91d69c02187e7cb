// THE LIST: rows of the depthwise family, best first, the general row last.
#include <array>

#include "kernels/depthwise/depthwise.h"
#include "kernels/depthwise/depthwise_rows.h"

namespace offramp::kernels {
namespace {

constexpr bool any(const DepthwiseDims&) { return true; }

constexpr auto kForward = std::to_array<DepthwiseRow>({
    {"depthwise/any/portable", Target::portable, any, 16, depthwise_any_portable},
});
constexpr auto kInputGrad = std::to_array<DepthwiseInputGradRow>({
    {"depthwise_input_grad/any/portable", Target::portable, any, 16, depthwise_input_grad_any_portable},
});
constexpr auto kWeightGrad = std::to_array<DepthwiseWeightGradRow>({
    {"depthwise_weight_grad/any/portable", Target::portable, any, 16, depthwise_weight_grad_any_portable},
});

}  // namespace

std::span<const DepthwiseRow> depthwise_table() { return kForward; }
std::span<const DepthwiseInputGradRow> depthwise_input_grad_table() { return kInputGrad; }
std::span<const DepthwiseWeightGradRow> depthwise_weight_grad_table() { return kWeightGrad; }

}  // namespace offramp::kernels
