// Convolutions of a training step between two normalisations, fused with them: normed_call.h says what is
// stored and what is formed again. A block of expansion, depthwise convolution, squeeze-excite and projection
// then reads a hidden tensor four times and writes it twice a step where separate operations read it ten
// times and write it four times. Statistics and sums are taken while a tile is in cache; partial sums of
// chunks whose borders depend on the shape alone are combined in chunk order, in double: the same bits for
// any number of threads. Doors never throw. float only: in double a block is a chain of the separate
// operations, which is also what tests compare with.
#pragma once
#include "kernels/conv2d/conv2d.h"
#include "kernels/cost.h"
#include "kernels/depthwise/depthwise.h"
#include "kernels/exec.h"
#include "kernels/normed/normed_call.h"

namespace offramp::kernels {

void normed_pointwise(Exec& exec, const NormedPointwiseCall& call);
void normed_pointwise_grad(Exec& exec, const NormedPointwiseGradCall& call);
void normed_depthwise(Exec& exec, const NormedDepthwiseCall& call);
void normed_depthwise_grad(Exec& exec, const NormedDepthwiseGradCall& call);
void normed_squeeze(Exec& exec, const NormedSqueezeCall& call);
void normed_squeeze_grad(Exec& exec, const NormedSqueezeGradCall& call);
void normed_slope(Exec& exec, const NormedSlopeCall& call);
void normed_add(Exec& exec, const NormedAddCall& call);
// On the card. Bf16 lives nowhere else. There gx must not be gy.dz.
void normed_pointwise(Exec& exec, const NormedPointwiseCallT<Bf16>& call);
void normed_pointwise_grad(Exec& exec, const NormedPointwiseGradCallT<Bf16>& call);
void normed_depthwise(Exec& exec, const NormedDepthwiseCallT<Bf16>& call);
void normed_depthwise_grad(Exec& exec, const NormedDepthwiseGradCallT<Bf16>& call);
void normed_squeeze(Exec& exec, const NormedSqueezeCallT<Bf16>& call);
void normed_squeeze_grad(Exec& exec, const NormedSqueezeGradCallT<Bf16>& call);
void normed_slope(Exec& exec, const NormedSlopeCallT<Bf16>& call);
void normed_add(Exec& exec, const NormedAddCallT<Bf16>& call);
namespace cuda {
void normed_pointwise(Exec& exec, const NormedPointwiseCall& call);
void normed_pointwise_grad(Exec& exec, const NormedPointwiseGradCall& call);
void normed_depthwise(Exec& exec, const NormedDepthwiseCall& call);
void normed_depthwise_grad(Exec& exec, const NormedDepthwiseGradCall& call);
void normed_squeeze(Exec& exec, const NormedSqueezeCall& call);
void normed_squeeze_grad(Exec& exec, const NormedSqueezeGradCall& call);
void normed_slope(Exec& exec, const NormedSlopeCall& call);
void normed_add(Exec& exec, const NormedAddCall& call);
// Here only: on the host a convolution outside a block is followed by a normalisation of its own. Bf16 alike.
void normed_conv2d(Exec& exec, const NormedConv2dCallT<float>& call);
void normed_conv2d(Exec& exec, const NormedConv2dCallT<Bf16>& call);
void normed_conv2d_grad(Exec& exec, const NormedConv2dGradCallT<float>& call);
void normed_conv2d_grad(Exec& exec, const NormedConv2dGradCallT<Bf16>& call);
}  // namespace cuda

// Per value: subtract, multiply, add, activation (normalisation behind a convolution), and its gradient.
constexpr i64 kNormedOps = 4, kNormedGradOps = 12;

constexpr Cost normed_pointwise_cost(const NormedDims& d) {
  const i64 x = d.rows * d.c_in, y = d.rows * d.c_out;
  return {.macs = x * d.c_out,
          .other_ops = kNormedOps * (x + y),
          .bytes_read = 4 * (x + d.c_in * d.c_out),
          .bytes_written = 4 * y};
}
// Both gradients.
constexpr Cost normed_pointwise_grad_cost(const NormedDims& d) {
  const i64 x = d.rows * d.c_in, y = d.rows * d.c_out, w = d.c_in * d.c_out;
  return {.macs = 2 * x * d.c_out,
          .other_ops = kNormedGradOps * (x + y),
          .bytes_read = 4 * (x + 2 * y + w),
          .bytes_written = 4 * (x + w)};
}
constexpr Cost normed_depthwise_cost(const DepthwiseDims& d) {
  const Cost plain = depthwise_cost(d);
  return {.macs = plain.macs,
          .other_ops = kNormedOps * (plain.bytes_read + plain.bytes_written) / 4,
          .bytes_read = plain.bytes_read,
          .bytes_written = plain.bytes_written};
}
constexpr Cost normed_depthwise_grad_cost(const DepthwiseDims& d) {
  const Cost plain = depthwise_cost(d);
  const i64 x = 4 * d.n * d.h * d.w * d.c, w = 4 * d.c * d.kernel * d.kernel;
  return {.macs = 2 * plain.macs,
          .other_ops = kNormedGradOps * (x + plain.bytes_written) / 4,
          .bytes_read = x + 2 * plain.bytes_written + w,
          .bytes_written = x + w};
}
// Plus the statistics: sum, deviation, its square, their sum.
constexpr Cost normed_conv2d_cost(const Conv2dDims& d) {
  const Cost plain = conv2d_cost(d);
  return plain + Cost{.other_ops = plain.bytes_written,  // four for each value, which has four bytes
                      .bytes_read = 4 * d.c_out,
                      .bytes_written = 12 * d.c_out};
}
// Each gradient that is wanted is a product of its own, which forms what it reads of dz and y.
constexpr Cost normed_conv2d_grad_cost(const Conv2dDims& d, bool gx, bool gw) {
  const i64 x = d.n * d.h * d.w * d.c_in, w = d.c_out * d.kernel * d.kernel * d.c_in,
            y = conv2d_cost(d).bytes_written / 4;
  const auto product = [&](i64 operand, i64 result) {
    return Cost{.macs = conv2d_cost(d).macs,
                .other_ops = kNormedGradOps * y,
                .bytes_read = 4 * (operand + 2 * y + 5 * d.c_out),
                .bytes_written = 4 * result};
  };
  return (gw ? product(x, w) : Cost{}) + (gx ? product(w, x) : Cost{});
}
// A pass over [rows][c_in] that reads `reads` and writes `writes` arrays of that size.
constexpr Cost normed_pass_cost(const NormedDims& d, i64 ops, i64 reads, i64 writes) {
  const i64 count = d.rows * d.c_in;
  return {.other_ops = ops * count, .bytes_read = 4 * reads * count, .bytes_written = 4 * writes * count};
}
// Both products and the pass over the tensor; forward, and its gradient without those of the weights.
constexpr Cost normed_squeeze_cost(const NormedDims& d, i64 reduced) {
  const i64 n = d.rows / d.hw;
  return normed_pass_cost(d, 5, 1, 0) + Cost{.macs = 2 * n * d.c_in * reduced,
                                             .other_ops = n * (6 * d.c_in + 2 * reduced),
                                             .bytes_read = 4 * (2 * d.c_in * reduced + d.c_in + reduced),
                                             .bytes_written = 4 * n * (3 * d.c_in + reduced)};
}
constexpr Cost normed_squeeze_grad_cost(const NormedDims& d, i64 reduced) {
  const i64 n = d.rows / d.hw;
  return normed_pass_cost(d, 6, 2, 0) +
         Cost{.macs = 2 * n * d.c_in * reduced,
              .other_ops = n * (2 * d.c_in + reduced),
              .bytes_read = 4 * (2 * d.c_in * reduced + n * (d.c_in + reduced)),
              .bytes_written = 4 * n * (2 * d.c_in + reduced)};
}

}  // namespace offramp::kernels
