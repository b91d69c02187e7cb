// Depthwise 2-D convolution (cross-correlation), one kernel x kernel filter per channel, and its gradients.
//   x, gx [n,h,w,c]   w, gw [c,kernel,kernel]   y, gy [n,oh,ow,c], oh/ow = depthwise_out(d)
// Source: Dumoulin & Visin 2016, relationship 6 (output size); Chollet 2017 (depthwise separable
// convolution). An output adds its taps in row-major order; taps outside the image are skipped, which depends
// on the position alone, so a sample has the same bits at any batch size and thread count. double runs the
// reference.
#pragma once
#include <span>
#include <string_view>

#include "kernels/bf16.h"
#include "kernels/cost.h"
#include "kernels/depthwise/depthwise_call.h"
#include "kernels/exec.h"

namespace offramp::kernels {

constexpr Extent depthwise_out(const DepthwiseDims& d) {
  return {(d.h + 2 * d.pad - d.kernel) / d.stride + 1, (d.w + 2 * d.pad - d.kernel) / d.stride + 1};
}

// Dense count: taps outside the image are counted.
constexpr Cost depthwise_cost(const DepthwiseDims& d) {
  const auto [oh, ow] = depthwise_out(d);
  const i64 taps = d.kernel * d.kernel;
  return {.macs = d.n * oh * ow * d.c * taps,
          .other_ops = 0,
          .bytes_read = 4 * (d.n * d.h * d.w * d.c + d.c * taps),
          .bytes_written = 4 * d.n * oh * ow * d.c};
}
// Taps of one axis that meet the image, over all outputs.
constexpr i64 depthwise_valid_taps(i64 size, i64 out, const DepthwiseDims& d) {
  i64 taps = 0;
  for (i64 o = 0; o < out; ++o) {
    const i64 first = o * d.stride - d.pad, end = first + d.kernel;
    const i64 inside = (end < size ? end : size) - (first > 0 ? first : 0);
    taps += inside > 0 ? inside : 0;
  }
  return taps;
}
// Of depthwise_cost's macs, those on values inside the image: what has to be computed.
constexpr i64 depthwise_valid_macs(const DepthwiseDims& d) {
  const auto [oh, ow] = depthwise_out(d);
  return d.n * d.c * depthwise_valid_taps(d.h, oh, d) * depthwise_valid_taps(d.w, ow, d);
}
static_assert(depthwise_valid_macs({.n = 1, .h = 2, .w = 2, .c = 1, .kernel = 3, .pad = 1}) == 16);
constexpr Cost depthwise_input_grad_cost(const DepthwiseDims& d) {
  const auto [oh, ow] = depthwise_out(d);
  return {.macs = depthwise_cost(d).macs,
          .other_ops = 0,
          .bytes_read = 4 * (d.n * oh * ow * d.c + d.c * d.kernel * d.kernel),
          .bytes_written = 4 * d.n * d.h * d.w * d.c};
}
constexpr Cost depthwise_weight_grad_cost(const DepthwiseDims& d) {
  const auto [oh, ow] = depthwise_out(d);
  return {.macs = depthwise_cost(d).macs,
          .other_ops = 0,
          .bytes_read = 4 * (d.n * d.h * d.w * d.c + d.n * oh * ow * d.c),
          .bytes_written = 4 * d.c * d.kernel * d.kernel};
}

// The same convolution without the outermost taps of a centred kernel, as far as they never meet the image:
// 7x7 on 2x2 is a 3x3.
constexpr DepthwiseDims depthwise_cropped(DepthwiseDims d) {
  const i64 size = d.h > d.w ? d.h : d.w;
  if (d.kernel == 2 * d.pad + 1)
    while (d.pad > 1 && d.pad >= size) --d.pad, d.kernel -= 2;
  return d;
}
static_assert(
    depthwise_cropped({.n = 1, .h = 2, .w = 2, .c = 1, .kernel = 7, .stride = 1, .pad = 3}).kernel == 3);

// Throws Error(input) when a dimension is below 1, pad below 0 or the output would be empty.
void require_depthwise(const DepthwiseDims& d);

void depthwise(Exec& exec, const DepthwiseCall& call);
void depthwise(Exec& exec, const DepthwiseCallT<double>& call);
// Each wanted gradient is one kernel call of its own: gx first, then gw.
void depthwise_grad(Exec& exec, const DepthwiseGradCall& call);
void depthwise_grad(Exec& exec, const DepthwiseGradCallT<double>& call);
// On the card. Bf16 lives nowhere else.
void depthwise(Exec& exec, const DepthwiseCallT<Bf16>& call);
void depthwise_grad(Exec& exec, const DepthwiseGradCallT<Bf16>& call);
namespace cuda {
void depthwise(Exec& exec, const DepthwiseCallT<float>& call);
void depthwise_grad(Exec& exec, const DepthwiseGradCallT<float>& call);
}  // namespace cuda

// Weights as the chosen row reads them, of depthwise_cropped(d): [block of channels][tap][channel], the last
// block filled up with zeros. Size in floats; the same for every n.
i64 depthwise_packed_floats(const DepthwiseDims& d, Target target);
void depthwise_pack(const DepthwiseDims& d, Target target, WeightView w, float* packed);

// Rows. A unit is one (sample, block of `block` channels); dims are cropped.
struct DepthwiseRow {
  std::string_view name;
  Target target;
  bool (*accepts)(const DepthwiseDims&);
  i64 block;
  void (*run)(const DepthwiseCall&, const float* packed, i64 begin, i64 end);
};
struct DepthwiseInputGradRow {
  std::string_view name;
  Target target;
  bool (*accepts)(const DepthwiseDims&);
  i64 block;
  void (*run)(const DepthwiseGradCall&, const float* packed, i64 begin, i64 end);
};
// A unit is one (group of samples, block of channels); it adds to `partial` [tap][channel] of its own.
struct DepthwiseWeightGradRow {
  std::string_view name;
  Target target;
  bool (*accepts)(const DepthwiseDims&);
  i64 block;
  void (*run)(const DepthwiseGradCall&, i64 sample_begin, i64 sample_end, i64 channel, float* partial);
};
std::span<const DepthwiseRow> depthwise_table();
std::span<const DepthwiseInputGradRow> depthwise_input_grad_table();
std::span<const DepthwiseWeightGradRow> depthwise_weight_grad_table();

}  // namespace offramp::kernels
