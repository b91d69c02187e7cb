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

// One vector of channels of one sample, as the depthwise rows see it when it is a tile of its own.
DepthwiseDims one_block(DepthwiseDims d, i64 block) {
  d.n = 1;
  d.c = block;
  return d;
}

// How a call is cut, a function of shape alone. Each vector of channels of a sample is a tile [pixels][width]
// of its own; where all of them would not stay in L2, channels go in groups. A chunk of samples has its own
// sums.
struct Cut {
  static constexpr i64 kTileFloats = i64{1} << 17, kMostRows = 4096, kChunks = 16;

  i64 W, hw, out_hw, blocks, group, chunk, chunks;

  Cut(const DepthwiseDims& d, i64 width, i64 out_pixels)
      : W(width),
        hw(d.h * d.w),
        out_hw(out_pixels),
        blocks(ceil_div(d.c, W)),
        group(std::clamp<i64>(kTileFloats / (in_step() + out_step()), 1, blocks)),
        chunk(std::clamp<i64>(kMostRows / std::max(hw, out_hw), 1, ceil_div(d.n, kChunks))),
        chunks(ceil_div(d.n, chunk)) {}

  // Floats from a tile to the next: tiles that begin a large power of two apart would share their sets of the
  // cache.
  i64 in_step() const { return hw * W + 16; }
  i64 out_step() const { return out_hw * W + 16; }
  i64 tile_floats() const { return group * (in_step() + out_step()); }
  NormedLayout in_tiles() const { return {.row = W, .block = W, .step = in_step()}; }
  NormedLayout out_tiles() const { return {.row = W, .block = W, .step = out_step()}; }

  // run(chunk, first vector of a group, tile_floats() of scratch) for all of them; `macs` is what the call
  // does.
  template <class Run>
  void each_group(Exec& exec, i64 macs, const Run& run) const {
    const i64 grain = std::max<i64>(1, 65536 * chunks / macs);  // worth a visit to another thread
    parallel_for(exec, chunks, grain, [&](i64 begin, i64 end, int worker) {
      float* const tiles = exec.worker_scratch(worker, tile_floats());
      for (i64 chunk = begin; chunk < end; ++chunk)
        for (i64 first = 0; first < blocks; first += group) run(chunk, first, tiles);
    });
  }
};

// Channels [ch, ch + c) of sample n of `in`, as tiles.
void read_tiles(const NormedPasses& passes, const Normed& in, const DepthwiseDims& d, const Cut& cut, i64 n,
                i64 ch, i64 c, float* out) {
  const auto of_channels = [&](const float* p) { return p ? p + ch : nullptr; };
  passes.read({.c = c,
               .step = d.c,
               .x = in.x + n * cut.hw * d.c + ch,
               .mean = of_channels(in.mean),
               .scale = of_channels(in.scale),
               .beta = of_channels(in.beta),
               .act = in.act,
               .gate = nullptr,
               .hw = cut.hw,
               .row = 0,
               .residual = nullptr,
               .out = out,
               .out_at = cut.in_tiles()},
              cut.hw);
}

// The same of a gradient.
void form_tiles(const NormedPasses& passes, const NormedGrad& gy, const DepthwiseDims& d, const Cut& cut,
                i64 n, i64 ch, i64 c, float* out) {
  const i64 at = n * cut.out_hw * d.c + ch;
  passes.form({.c = c,
               .step = d.c,
               .dz = gy.dz + at,
               .y = gy.y + at,
               .mean = gy.mean + ch,
               .scale = gy.scale + ch,
               .of_mean = gy.of_mean + ch,
               .of_var = gy.of_var + ch,
               .out = out,
               .out_at = cut.out_tiles()},
              cut.out_hw);
}

// Weights as depthwise_pack lays them out, of the cropped dims.
void pack(Exec& exec, const NormedPasses& passes, const DepthwiseDims& whole, const DepthwiseDims& d,
          const WeightView& weights, i64 W, float* packed) {
  const WeightView w = crop_kernel(weights, whole.kernel, d.kernel);
  const i64 taps = d.kernel * d.kernel;
  if (w.to_next_tap != 1) return depthwise_pack(whole, exec.target(), weights, packed);
  const bool contiguous = w.to_next_row == d.kernel;
  parallel_for(exec, ceil_div(d.c, W), std::max<i64>(1, 65536 / (W * taps)), [&](i64 begin, i64 end, int) {
    for (i64 b = begin; b < end; ++b) {
      const float* const from = w.data + b * W * w.to_next_out;
      float* const to = packed + b * W * taps;
      const i64 channels = std::min(W, d.c - b * W);
      if (channels < W) std::fill_n(to, W * taps, 0.0f);
      if (contiguous)
        passes.transpose(from, w.to_next_out, channels, taps, to, W);
      else
        for (i64 row = 0; row < d.kernel; ++row)
          passes.transpose(from + row * w.to_next_row, w.to_next_out, channels, d.kernel,
                           to + row * d.kernel * W, W);
    }
  });
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
  const Cut cut(d, row.block, call.out_h * call.out_w);
  const i64 W = cut.W, taps = cropped.kernel * cropped.kernel;
  const i64 packed_size = round_up(depthwise_packed_floats(d, exec.target()), 16);
  float* const packed = exec.shared_scratch(packed_size + cut.chunks * 2 * d.c);
  float* const partial = packed + packed_size;
  pack(exec, passes, d, cropped, call.w, W, packed);

  const auto run_group = [&](i64 chunk, i64 first, float* x) {
    const i64 count = std::min(cut.group, cut.blocks - first), ch = first * W,
              c = std::min(count * W, d.c - ch);
    float* const y = x + cut.group * cut.in_step();
    float* const sums = partial + chunk * 2 * d.c + ch;
    const i64 begin = chunk * cut.chunk, end = std::min(begin + cut.chunk, d.n);
    for (i64 n = begin; n < end; ++n) {
      read_tiles(passes, call.in, d, cut, n, ch, c, x);
      DepthwiseCall one{.dims = one_block(cropped, W),
                        .out_h = call.out_h,
                        .out_w = call.out_w,
                        .x = x,
                        .w = call.w,
                        .packed = nullptr,
                        .bias = nullptr,
                        .act = Act::none,
                        .y = y};
      for (i64 b = 0; b < count; ++b, one.x += cut.in_step(), one.y += cut.out_step())
        row.run(one, packed + (first + b) * W * taps, 0, 1);
      passes.store_statistics({.c = c,
                               .step = d.c,
                               .tile = y,
                               .tile_at = cut.out_tiles(),
                               .residual = nullptr,
                               .y = call.y + n * cut.out_hw * d.c + ch,
                               .sum = sums,
                               .squares = sums + d.c,
                               .origin = n == begin ? nullptr : call.y + begin * cut.out_hw * d.c + ch},
                              cut.out_hw);
    }
  };
  cut.each_group(exec, normed_depthwise_cost(d).macs, run_group);
  finish_statistics(exec, d.n * cut.out_hw, d.c, cut.chunk * cut.out_hw, call.y, partial, call.out);
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
  const Cut cut(d, input_row.block, call.out_h * call.out_w);
  const i64 W = cut.W, taps = d.kernel * d.kernel, cropped_taps = cropped.kernel * cropped.kernel;
  const i64 gw_floats = cut.blocks * taps * W;  // of a chunk
  const bool slope = call.gx && call.in.mean;
  const i64 packed_size = round_up(depthwise_packed_floats(d, exec.target()), 16);
  float* const packed = exec.shared_scratch(packed_size + cut.chunks * (gw_floats + 2 * d.c));
  float* const gw = packed + packed_size;
  float* const partial = gw + cut.chunks * gw_floats;
  if (call.gx) pack(exec, passes, d, cropped, call.w, W, packed);

  const TileEngine& engine = tile_engine(exec.target());
  const auto run_group = [&](i64 chunk, i64 first, float* x) {
    const i64 count = std::min(cut.group, cut.blocks - first), ch = first * W,
              c = std::min(count * W, d.c - ch);
    float* const gy = x + cut.group * cut.in_step();
    float* const sums = partial + chunk * 2 * d.c + ch;
    float* const gw_sums = gw + chunk * gw_floats + first * taps * W;
    std::fill_n(gw_sums, count * taps * W, 0.0f);
    const i64 begin = chunk * cut.chunk, end = std::min(begin + cut.chunk, d.n);
    for (i64 n = begin; n < end; ++n) {
      read_tiles(passes, call.in, d, cut, n, ch, c, x);
      form_tiles(passes, call.gy, d, cut, n, ch, c, gy);
      DepthwiseGradCall one{.dims = one_block(d, W),
                            .out_h = call.out_h,
                            .out_w = call.out_w,
                            .x = x,
                            .w = call.w,
                            .gy = gy,
                            .gx = x,  // the weight gradient was its last reader
                            .gw = nullptr};
      DepthwiseGradCall input = one;
      input.dims = one_block(cropped, W);
      for (i64 b = 0; b < count; ++b) {
        input.gx = x + b * cut.in_step();
        one.x = input.gx;
        one.gy = input.gy = gy + b * cut.out_step();
        weight_row.run(one, 0, 1, 0, gw_sums + b * taps * W);
        if (call.gx) input_row.run(input, packed + (first + b) * cropped_taps * W, 0, 1);
      }
      if (!call.gx) continue;
      const i64 at = n * cut.hw * d.c + ch;
      if (slope)
        passes.slope({.c = c,
                      .step = d.c,
                      .g = x,
                      .g_at = cut.in_tiles(),
                      .x = call.in.x + at,
                      .mean = call.in.mean + ch,
                      .scale = call.in.scale + ch,
                      .beta = call.in.beta + ch,
                      .act = call.in.act,
                      .gate = nullptr,
                      .shift = nullptr,
                      .shift_factor = 1,
                      .dz = call.gx + at,
                      .sum = sums,
                      .sum_with_d = sums + d.c,
                      .accumulate = n != begin},
                     cut.hw);
      else
        passes.store({.c = c,
                      .step = d.c,
                      .tile = x,
                      .tile_at = cut.in_tiles(),
                      .residual = call.residual ? call.residual + at : nullptr,
                      .y = call.gx + at,
                      .sum = nullptr,
                      .squares = nullptr},
                     cut.hw);
    }
  };
  cut.each_group(exec, normed_depthwise_grad_cost(d).macs, run_group);
  parallel_for(exec, cut.blocks, std::max<i64>(1, 16384 / (cut.chunks * taps * W)),
               [&](i64 begin, i64 end, int) {
                 for (i64 b = begin; b < end; ++b) {
                   float* const sum = gw + b * taps * W;
                   for (i64 g = 1; g < cut.chunks; ++g) engine.add(sum, sum + g * gw_floats, taps * W);
                   passes.transpose(sum, W, taps, std::min(W, d.c - b * W), call.gw + b * W * taps, taps);
                 }
               });
  if (slope) finish_sums(exec, d.n * cut.hw, d.c, cut.chunks, partial, call.in.scale, call.out);
}

}  // namespace offramp::kernels
