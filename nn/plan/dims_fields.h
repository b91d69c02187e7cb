// The kinds of steps and their fields by name.
#pragma once
#include <string_view>
#include <variant>

#include "kernels/fields.h"
#include "nn/plan/plan.h"

namespace offramp::nn {

inline constexpr std::string_view kOpNames[] = {"conv2d", "depthwise", "gemm",   "pool",   "global_avg_pool",
                                                "norm",   "act",       "binary", "resize", "softmax"};
static_assert(std::size(kOpNames) == std::variant_size_v<StepDims>);

inline std::string_view op_name(const StepDims& dims) { return kOpNames[dims.index()]; }

// Calls f(name, field) for each field; enums and bools come as themselves.
template <class F>
void visit_fields(StepDims& dims, F&& f) {
  std::visit([&](auto& d) { kernels::fields(d, f); }, dims);
}

}  // namespace offramp::nn
