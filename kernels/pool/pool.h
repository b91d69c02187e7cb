// Max, average and global average pooling, and their gradients.
//   x, gx [n,h,w,c]   y, gy [n,oh,ow,c], oh/ow = pool_out(d)   (global: y, gy [n,c])
// A window sums or compares in row-major order, the global mean adds pixels in storage order: same bits at
// any batch size and thread count. Where x holds a NaN the maximum of its windows is unspecified. double runs
// the reference. Source: Dumoulin & Visin 2016, relationship 14 (output size, with padding as for
// convolutions).
#pragma once
#include <span>
#include <string_view>

#include "kernels/bf16.h"
#include "kernels/cost.h"
#include "kernels/exec.h"
#include "kernels/pool/pool_call.h"

namespace offramp::kernels {

constexpr Extent pool_out(const PoolDims& d) {
  return {(d.h + 2 * d.pad - d.kernel) / d.stride + 1, (d.w + 2 * d.pad - d.kernel) / d.stride + 1};
}

// other_ops, dense (taps outside the image are counted), per output:
//   max: one comparison a tap               avg: one addition a tap and one division
//   max gradient: one comparison a tap and one addition     avg gradient: one division and one addition a tap
//   global average: one addition a pixel and one division; its gradient: one division a channel
constexpr Cost pool_cost(const PoolDims& d) {
  const auto [oh, ow] = pool_out(d);
  const i64 outputs = d.n * oh * ow * d.c;
  return {.macs = 0,
          .other_ops = outputs * (d.kernel * d.kernel + (d.kind == PoolKind::avg ? 1 : 0)),
          .bytes_read = 4 * d.n * d.h * d.w * d.c,
          .bytes_written = 4 * outputs};
}
constexpr Cost pool_grad_cost(const PoolDims& d) {
  const auto [oh, ow] = pool_out(d);
  const i64 outputs = d.n * oh * ow * d.c, inputs = d.n * d.h * d.w * d.c;
  return {.macs = 0,
          .other_ops = outputs * (d.kernel * d.kernel + 1),
          .bytes_read = 4 * (outputs + (d.kind == PoolKind::max ? inputs : 0)),
          .bytes_written = 4 * inputs};
}
constexpr Cost global_avg_pool_cost(const GlobalPoolDims& d) {
  return {.macs = 0,
          .other_ops = d.n * d.c * (d.hw + 1),
          .bytes_read = 4 * d.n * d.hw * d.c,
          .bytes_written = 4 * d.n * d.c};
}
constexpr Cost global_avg_pool_grad_cost(const GlobalPoolDims& d) {
  return {
      .macs = 0, .other_ops = d.n * d.c, .bytes_read = 4 * d.n * d.c, .bytes_written = 4 * d.n * d.hw * d.c};
}

// Throws Error(input) when a dimension, kernel or stride is below 1, pad is not in [0, kernel/2] or the
// output would be empty.
void require_pool(const PoolDims& d);
// Throws Error(input) when a dimension is below 1.
void require_global_avg_pool(const GlobalPoolDims& d);

void pool(Exec& exec, const PoolCall& call);
void pool(Exec& exec, const PoolCallT<double>& call);
void pool_grad(Exec& exec, const PoolGradCall& call);
void pool_grad(Exec& exec, const PoolGradCallT<double>& call);
void global_avg_pool(Exec& exec, const GlobalAvgPoolCall& call);
void global_avg_pool(Exec& exec, const GlobalAvgPoolCallT<double>& call);
void global_avg_pool_grad(Exec& exec, const GlobalAvgPoolGradCall& call);
void global_avg_pool_grad(Exec& exec, const GlobalAvgPoolGradCallT<double>& call);
// On the card. Bf16 lives nowhere else.
void pool(Exec& exec, const PoolCallT<Bf16>& call);
void pool_grad(Exec& exec, const PoolGradCallT<Bf16>& call);
void global_avg_pool(Exec& exec, const GlobalAvgPoolCallT<Bf16>& call);
void global_avg_pool_grad(Exec& exec, const GlobalAvgPoolGradCallT<Bf16>& call);
namespace cuda {
void pool(Exec& exec, const PoolCallT<float>& call);
void pool_grad(Exec& exec, const PoolGradCallT<float>& call);
void global_avg_pool(Exec& exec, const GlobalAvgPoolCallT<float>& call);
void global_avg_pool_grad(Exec& exec, const GlobalAvgPoolGradCallT<float>& call);
}  // namespace cuda

// Rows compute units [begin, end): output rows (sample * out_h + row) forward, samples in every other case.
template <class Dims, class Call>
struct PoolRow {
  std::string_view name;
  Target target;
  bool (*accepts)(const Dims&);
  void (*run)(const Call&, i64 begin, i64 end);
};
std::span<const PoolRow<PoolDims, PoolCall>> pool_table();
std::span<const PoolRow<PoolDims, PoolGradCall>> pool_grad_table();
std::span<const PoolRow<GlobalPoolDims, GlobalAvgPoolCall>> global_avg_pool_table();
std::span<const PoolRow<GlobalPoolDims, GlobalAvgPoolGradCall>> global_avg_pool_grad_table();

}  // namespace offramp::kernels
