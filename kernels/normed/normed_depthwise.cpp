#include <algorithm>

#include "kernels/cuda/built.h"
#include "kernels/gemm/tile_engine.h"
#include "kernels/normed/normed.h"
#include "kernels/normed/normed_parts.h"
#include "kernels/parallel.h"
#include "kernels/recorder.h"
#include "kernels/select.h"

namespace offramp::kernels {
namespace {

// One block of channels of one sample, as the depthwise rows see it when it is a tile of its own.
DepthwiseDims one_block(DepthwiseDims d, i64 block) {
  d.n = 1;
  d.c = block;
  return d;
}

// Floats from a block of `count` pixels to the next: blocks that begin a large power of two apart would share
// their sets of the cache.
constexpr i64 block_step(i64 count, i64 W) { return count * W + 16; }

// Sample n of `in` as blocks of W channels [block][h * w][W].
void read_sample(const NormedPasses& passes, const Normed& in, const DepthwiseDims& d, i64 n, i64 W,
                 float* out) {
  const i64 hw = d.h * d.w;
  passes.read({.c = d.c,
               .x = in.x + n * hw * d.c,
               .mean = in.mean,
               .scale = in.scale,
               .beta = in.beta,
               .act = in.act,
               .gate = nullptr,
               .hw = hw,
               .row = 0,
               .residual = nullptr,
               .out = out,
               .out_at = {.row = W, .block = W, .step = block_step(hw, W)}},
              hw);
}

i64 sample_grain(const DepthwiseDims& d, i64 out_hw) {
  return std::max<i64>(1, 65536 / (out_hw * d.c * d.kernel * d.kernel));
}

}  // namespace

void normed_depthwise(Exec& exec, const NormedDepthwiseCall& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::normed_depthwise(exec, call);
  const DepthwiseDims& d = call.dims;
  if (!note(exec,
            normed_row(exec.target(), "normed_depthwise/any/portable", "normed_depthwise/any/avx2",
                       "normed_depthwise/any/avx512"),
            normed_depthwise_cost(d)))
    return;
  const NormedPasses& passes = normed_passes(exec.target());
  const DepthwiseDims cropped = depthwise_cropped(d);
  const DepthwiseRow& row = select_row(depthwise_table(), exec.target(), cropped);
  const i64 W = row.block, hw = d.h * d.w, out_hw = call.out_h * call.out_w, blocks = ceil_div(d.c, W);
  const i64 packed_size = round_up(depthwise_packed_floats(d, exec.target()), 16);
  float* const packed = exec.shared_scratch(packed_size + d.n * 2 * d.c);
  float* const partial = packed + packed_size;
  depthwise_pack(d, exec.target(), call.w, packed);

  parallel_for(exec, d.n, sample_grain(d, out_hw), [&](i64 begin, i64 end, int worker) {
    float* const x = exec.worker_scratch(worker, blocks * (block_step(hw, W) + block_step(out_hw, W)));
    float* const y = x + blocks * block_step(hw, W);
    for (i64 n = begin; n < end; ++n) {
      read_sample(passes, call.in, d, n, W, x);
      DepthwiseCall one{.dims = one_block(cropped, W),
                        .out_h = call.out_h,
                        .out_w = call.out_w,
                        .x = x,
                        .w = call.w,
                        .packed = nullptr,
                        .bias = nullptr,
                        .act = Act::none,
                        .y = y};
      for (i64 b = 0; b < blocks; ++b) {
        one.x = x + b * block_step(hw, W);
        one.y = y + b * block_step(out_hw, W);
        row.run(one, packed + b * W * cropped.kernel * cropped.kernel, 0, 1);
      }
      float* const sums = partial + n * 2 * d.c;
      passes.store_statistics({.c = d.c,
                               .tile = y,
                               .tile_at = {.row = W, .block = W, .step = block_step(out_hw, W)},
                               .residual = nullptr,
                               .y = call.y + n * out_hw * d.c,
                               .sum = sums,
                               .squares = sums + d.c},
                              out_hw);
    }
  });
  finish_statistics(exec, d.n * out_hw, d.c, out_hw, call.y, partial, call.out);
}

void normed_depthwise_grad(Exec& exec, const NormedDepthwiseGradCall& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::normed_depthwise_grad(exec, call);
  const DepthwiseDims& d = call.dims;
  if (!note(exec,
            normed_row(exec.target(), "normed_depthwise_grad/any/portable", "normed_depthwise_grad/any/avx2",
                       "normed_depthwise_grad/any/avx512"),
            normed_depthwise_grad_cost(d)))
    return;
  const NormedPasses& passes = normed_passes(exec.target());
  // All three rows of a target cut the channels alike.
  const DepthwiseDims cropped = depthwise_cropped(d);
  const auto& input_row = select_row(depthwise_input_grad_table(), exec.target(), cropped);
  const auto& weight_row = select_row(depthwise_weight_grad_table(), exec.target(), d);
  const i64 W = input_row.block, hw = d.h * d.w, out_hw = call.out_h * call.out_w, blocks = ceil_div(d.c, W);
  const i64 tap_floats = d.kernel * d.kernel * W;
  const bool slope = call.gx && call.in.mean;
  // One sum of gw for each group of samples; the borders depend on n alone.
  const i64 group = ceil_div(d.n, 16), groups = ceil_div(d.n, group);
  const i64 packed_size = round_up(depthwise_packed_floats(d, exec.target()), 16);
  float* const packed = exec.shared_scratch(packed_size + groups * blocks * tap_floats + d.n * 2 * d.c);
  float* const gw = packed + packed_size;
  float* const partial = gw + groups * blocks * tap_floats;
  depthwise_pack(d, exec.target(), call.w, packed);

  const TileEngine& engine = tile_engine(exec.target());
  parallel_for(exec, groups, 1, [&](i64 begin, i64 end, int worker) {
    float* const x = exec.worker_scratch(worker, blocks * (2 * block_step(hw, W) + block_step(out_hw, W)));
    float *const gx = x + blocks * block_step(hw, W), *const gy = gx + blocks * block_step(hw, W);
    for (i64 g = begin; g < end; ++g)
      for (i64 n = g * group; n < std::min((g + 1) * group, d.n); ++n) {
        read_sample(passes, call.in, d, n, W, x);
        passes.form(form_of(call.gy, d.c, n * out_hw, gy, {W, W, block_step(out_hw, W)}), out_hw);
        DepthwiseGradCall one{.dims = one_block(d, W),
                              .out_h = call.out_h,
                              .out_w = call.out_w,
                              .x = x,
                              .w = call.w,
                              .gy = gy,
                              .gx = gx,
                              .gw = nullptr};
        for (i64 b = 0; b < blocks; ++b) {
          one.x = x + b * block_step(hw, W);
          one.gy = gy + b * block_step(out_hw, W);
          one.gx = gx + b * block_step(hw, W);
          float* const sum = gw + (g * blocks + b) * tap_floats;
          if (n == g * group) std::fill_n(sum, tap_floats, 0.0f);
          weight_row.run(one, 0, 1, 0, sum);
          if (!call.gx) continue;
          DepthwiseGradCall input = one;
          input.dims = one_block(cropped, W);
          input_row.run(input, packed + b * cropped.kernel * cropped.kernel * W, 0, 1);
        }
        if (!call.gx) continue;
        const i64 at = n * hw * d.c;
        float* const sums = partial + n * 2 * d.c;
        if (slope)
          passes.slope({.c = d.c,
                        .g = gx,
                        .g_at = {.row = W, .block = W, .step = block_step(hw, W)},
                        .x = call.in.x + at,
                        .mean = call.in.mean,
                        .scale = call.in.scale,
                        .beta = call.in.beta,
                        .act = call.in.act,
                        .gate = nullptr,
                        .shift = nullptr,
                        .shift_factor = 1,
                        .dz = call.gx + at,
                        .sum = sums,
                        .sum_with_d = sums + d.c},
                       hw);
        else
          passes.store({.c = d.c,
                        .tile = gx,
                        .tile_at = {.row = W, .block = W, .step = block_step(hw, W)},
                        .residual = call.residual ? call.residual + at : nullptr,
                        .y = call.gx + at,
                        .sum = nullptr,
                        .squares = nullptr},
                       hw);
      }
  });
  const i64 taps = d.kernel * d.kernel;
  parallel_for(exec, blocks, std::max<i64>(1, 16384 / (groups * tap_floats)), [&](i64 begin, i64 end, int) {
    for (i64 b = begin; b < end; ++b) {
      float* const sum = gw + b * tap_floats;
      for (i64 g = 1; g < groups; ++g) engine.add(sum, sum + g * blocks * tap_floats, tap_floats);
      passes.transpose(sum, W, taps, std::min(W, d.c - b * W), call.gw + b * W * taps, taps);
    }
  });
  if (slope) finish_sums(exec, d.n * hw, d.c, d.n, partial, call.in.scale, call.out);
}

}  // namespace offramp::kernels
