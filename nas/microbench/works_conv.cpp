// The families whose work is multiply-accumulates. Integer operands: sums are exact in float, so a row must
// agree with the reference bit for bit.
#include "nas/microbench/works.h"

#include "kernels/conv2d/conv2d.h"
#include "kernels/depthwise/depthwise.h"
#include "kernels/gemm/gemm.h"

namespace offramp::nas::microbench {
namespace {

using namespace kernels;

constexpr Fill kInts = Fill::integers;
constexpr auto kConv2d = [](Exec& e, const auto& call) { conv2d(e, call); };
constexpr auto kConv2dGrad = [](Exec& e, const auto& call) { conv2d_grad(e, call); };
constexpr auto kDepthwise = [](Exec& e, const auto& call) { depthwise(e, call); };
constexpr auto kDepthwiseGrad = [](Exec& e, const auto& call) { depthwise_grad(e, call); };
constexpr auto kGemm = [](Exec& e, const auto& call) { gemm(e, call); };

i64 weights(const Conv2dDims& d) { return d.c_out * d.kernel * d.kernel * (d.c_in / d.groups); }
i64 inputs(const Conv2dDims& d) { return d.n * d.h * d.w * d.c_in; }
i64 outputs(const Conv2dDims& d) {
  const Extent out = conv2d_out(d);
  return d.n * out.h * out.w * d.c_out;
}
i64 weights(const DepthwiseDims& d) { return d.c * d.kernel * d.kernel; }
i64 inputs(const DepthwiseDims& d) { return d.n * d.h * d.w * d.c; }
i64 outputs(const DepthwiseDims& d) {
  const Extent out = depthwise_out(d);
  return d.n * out.h * out.w * d.c;
}

template <class T>
WeightViewT<T> view(const T* w, const DepthwiseDims& d) {
  return {w, d.kernel * d.kernel, d.kernel, 1};
}

}  // namespace

std::vector<Work> inference_works(const std::string& text, const Conv2dDims& d) {
  const auto make_call = [d]<class T>(const Arrays<T>& a) {
    const Extent out = conv2d_out(d);
    return Conv2dCallT<T>{.dims = d,
                          .out_h = out.h,
                          .out_w = out.w,
                          .x = a.x(0),
                          .w = dense_weights(a.x(1), d),
                          .packed = a.packed_or_null(),
                          .bias = a.x(2),
                          .act = Act::relu,
                          .y = a.y(0)};
  };
  Work work = make_work(text, conv2d_cost(d), 0, {{inputs(d), kInts}, {weights(d), kInts}, {d.c_out, kInts}},
                        {{outputs(d)}}, conv2d_kernels(), d, make_call, kConv2d, &Conv2dKernel::name);
  work.weight_bytes = 4 * weights(d);
  for (WorkRow& row : work.rows)
    // The packed form is that of the row which the target takes; others pack as they run.
    if (select_conv2d(d, row.target).name == row.name)
      row.pack = [d, target = row.target](Arrays<float>& a) {
        a.packed.resize(std::size_t(conv2d_packed_floats(d, target)));
        conv2d_pack(d, target, dense_weights(a.x(1), d), a.packed.data());
      };
  return {work};
}

std::vector<Work> training_works(const std::string& text, const Conv2dDims& d) {
  const i64 macs = conv2d_cost(d).macs;
  const auto make = [&](const std::string& which, i64 count, bool want_gx) {
    const auto make_call = [d, want_gx]<class T>(const Arrays<T>& a) {
      const Extent out = conv2d_out(d);
      return Conv2dGradCallT<T>{.dims = d,
                                .out_h = out.h,
                                .out_w = out.w,
                                .x = a.x(0),
                                .w = dense_weights(a.x(1), d),
                                .gy = a.x(2),
                                .gx = want_gx ? a.y(0) : nullptr,
                                .gw = want_gx ? nullptr : a.y(0)};
    };
    const Cost cost{.macs = macs,
                    .other_ops = 0,
                    .bytes_read = 4 * (outputs(d) + (want_gx ? weights(d) : inputs(d))),
                    .bytes_written = 4 * count};
    return make_work(which + " of " + text, cost, 0,
                     {{inputs(d), kInts}, {weights(d), kInts}, {outputs(d), kInts}}, {{count}},
                     conv2d_grad_kernels(), d, make_call, kConv2dGrad, &Conv2dGradKernel::name);
  };
  return {make("gx", inputs(d), true), make("gw", weights(d), false)};
}

std::vector<Work> inference_works(const std::string& text, const DepthwiseDims& d) {
  const auto make_call = [d]<class T>(const Arrays<T>& a) {
    const Extent out = depthwise_out(d);
    return DepthwiseCallT<T>{.dims = d,
                             .out_h = out.h,
                             .out_w = out.w,
                             .x = a.x(0),
                             .w = view(a.x(1), d),
                             .packed = a.packed_or_null(),
                             .bias = a.x(2),
                             .act = Act::relu,
                             .y = a.y(0)};
  };
  Work work = make_work(text, depthwise_cost(d), 0, {{inputs(d), kInts}, {weights(d), kInts}, {d.c, kInts}},
                        {{outputs(d)}}, depthwise_table(), d, make_call, kDepthwise, &DepthwiseRow::name);
  work.weight_bytes = 4 * weights(d);
  work.valid_macs = depthwise_valid_macs(d);
  for (WorkRow& row : work.rows)
    row.pack = [d, target = row.target](Arrays<float>& a) {
      a.packed.resize(std::size_t(depthwise_packed_floats(d, target)));
      depthwise_pack(d, target, view(a.x(1), d), a.packed.data());
    };
  return {work};
}

std::vector<Work> training_works(const std::string& text, const DepthwiseDims& d) {
  const std::vector<Operand> in{{inputs(d), kInts}, {weights(d), kInts}, {outputs(d), kInts}};
  const auto make_call = [d](bool want_gx) {
    return [d, want_gx]<class T>(const Arrays<T>& a) {
      const Extent out = depthwise_out(d);
      return DepthwiseGradCallT<T>{.dims = d,
                                   .out_h = out.h,
                                   .out_w = out.w,
                                   .x = a.x(0),
                                   .w = view(a.x(1), d),
                                   .gy = a.x(2),
                                   .gx = want_gx ? a.y(0) : nullptr,
                                   .gw = want_gx ? nullptr : a.y(0)};
    };
  };
  std::vector<Work> works{make_work("gx of " + text, depthwise_input_grad_cost(d), 0, in, {{inputs(d)}},
                                    depthwise_input_grad_table(), d, make_call(true), kDepthwiseGrad,
                                    &DepthwiseInputGradRow::name),
                          make_work("gw of " + text, depthwise_weight_grad_cost(d), 0, in, {{weights(d)}},
                                    depthwise_weight_grad_table(), d, make_call(false), kDepthwiseGrad,
                                    &DepthwiseWeightGradRow::name)};
  for (Work& work : works) work.valid_macs = depthwise_valid_macs(d);
  return works;
}

std::vector<Work> inference_works(const std::string& text, const GemmDims& d) {
  const auto make_call = [d]<class T>(const Arrays<T>& a) {
    return GemmCallT<T>{.dims = d,
                        .a = a.x(0),
                        .a_row = d.k,
                        .a_k = 1,
                        .b = a.x(1),
                        .b_col = d.k,
                        .b_k = 1,
                        .packed = a.packed_or_null(),
                        .bias = a.x(2),
                        .c = a.y(0),
                        .c_row = d.n};
  };
  Work work = make_work(text, gemm_cost(d), 0, {{d.m * d.k, kInts}, {d.n * d.k, kInts}, {d.n, kInts}},
                        {{d.m * d.n}}, gemm_kernels(), d, make_call, kGemm, &GemmKernel::name);
  work.weight_bytes = 4 * d.n * d.k;
  for (WorkRow& row : work.rows)
    if (select_gemm(d, row.target).name == row.name)
      row.pack = [d, target = row.target](Arrays<float>& a) {
        a.packed.resize(std::size_t(gemm_packed_floats(d, target)));
        gemm_pack(d, target, a.x(1), d.k, 1, a.packed.data());
      };
  return {work};
}

// The gradients of a linear layer y [m,n] = x [m,k] * w [n,k] are gemms over other axes: gx = gy * w, gw =
// gy' * x.
std::vector<Work> training_works(const std::string& text, const GemmDims& d) {
  const auto gx = [d]<class T>(const Arrays<T>& a) {
    return GemmCallT<T>{.dims = {.m = d.m, .n = d.k, .k = d.n},
                        .a = a.x(0),
                        .a_row = d.n,
                        .a_k = 1,
                        .b = a.x(1),
                        .b_col = 1,
                        .b_k = d.k,
                        .c = a.y(0),
                        .c_row = d.k};
  };
  const auto gw = [d]<class T>(const Arrays<T>& a) {
    return GemmCallT<T>{.dims = {.m = d.n, .n = d.k, .k = d.m},
                        .a = a.x(0),
                        .a_row = 1,
                        .a_k = d.n,
                        .b = a.x(1),
                        .b_col = 1,
                        .b_k = d.k,
                        .c = a.y(0),
                        .c_row = d.k};
  };
  const GemmDims dx{.m = d.m, .n = d.k, .k = d.n}, dw{.m = d.n, .n = d.k, .k = d.m};
  return {make_work("gx of " + text, gemm_cost(dx), 0, {{d.m * d.n, kInts}, {d.n * d.k, kInts}},
                    {{d.m * d.k}}, gemm_kernels(), dx, gx, kGemm, &GemmKernel::name),
          make_work("gw of " + text, gemm_cost(dw), 0, {{d.m * d.n, kInts}, {d.m * d.k, kInts}},
                    {{d.n * d.k}}, gemm_kernels(), dw, gw, kGemm, &GemmKernel::name)};
}

}  // namespace offramp::nas::microbench
