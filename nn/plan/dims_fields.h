// The fields of every kind of step by name: the one list behind the text form and the model file.
#pragma once
#include <string_view>
#include <variant>

#include "nn/plan/plan.h"

namespace offramp::nn {

namespace detail {

template <class F>
void fields(kernels::Conv2dDims& d, F&& f) {
  f("n", d.n), f("h", d.h), f("w", d.w), f("c_in", d.c_in), f("c_out", d.c_out), f("kernel", d.kernel);
  f("stride", d.stride), f("pad", d.pad), f("groups", d.groups);
}
template <class F>
void fields(kernels::DepthwiseDims& d, F&& f) {
  f("n", d.n), f("h", d.h), f("w", d.w), f("c", d.c), f("kernel", d.kernel), f("stride", d.stride),
      f("pad", d.pad);
}
template <class F>
void fields(kernels::GemmDims& d, F&& f) {
  f("m", d.m), f("n", d.n), f("k", d.k);
}
template <class F>
void fields(kernels::PoolDims& d, F&& f) {
  f("n", d.n), f("h", d.h), f("w", d.w), f("c", d.c), f("kernel", d.kernel), f("stride", d.stride),
      f("pad", d.pad);
  f("kind", d.kind);
}
template <class F>
void fields(kernels::GlobalPoolDims& d, F&& f) {
  f("n", d.n), f("hw", d.hw), f("c", d.c);
}
template <class F>
void fields(kernels::NormDims& d, F&& f) {
  f("rows", d.rows), f("c", d.c);
}
template <class F>
void fields(kernels::ActDims& d, F&& f) {
  f("count", d.count), f("act", d.act);
}
template <class F>
void fields(kernels::BinaryDims& d, F&& f) {
  f("n", d.n), f("hw", d.hw), f("c", d.c), f("kind", d.kind), f("broadcast", d.broadcast);
}
template <class F>
void fields(kernels::ResizeDims& d, F&& f) {
  f("n", d.n), f("h", d.h), f("w", d.w), f("c", d.c), f("out_h", d.out_h), f("out_w", d.out_w),
      f("kind", d.kind);
}
template <class F>
void fields(kernels::SoftmaxDims& d, F&& f) {
  f("rows", d.rows), f("classes", d.classes), f("log", d.log);
}

}  // namespace detail

inline constexpr std::string_view kOpNames[] = {"conv2d", "depthwise", "gemm",   "pool",   "global_avg_pool",
                                                "norm",   "act",       "binary", "resize", "softmax"};
static_assert(std::size(kOpNames) == std::variant_size_v<StepDims>);

inline std::string_view op_name(const StepDims& dims) { return kOpNames[dims.index()]; }

// Calls f(name, field) for each field; enums and bools come as themselves.
template <class F>
void visit_fields(StepDims& dims, F&& f) {
  std::visit([&](auto& d) { detail::fields(d, f); }, dims);
}

}  // namespace offramp::nn
