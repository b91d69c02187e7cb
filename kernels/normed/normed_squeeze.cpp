#include <algorithm>

#include "kernels/act/act.h"
#include "kernels/cuda/built.h"
#include "kernels/normed/normed.h"
#include "kernels/normed/normed_parts.h"
#include "kernels/parallel.h"
#include "kernels/recorder.h"

namespace offramp::kernels {
namespace {

i64 sample_grain(const NormedDims& d) { return std::max<i64>(1, kUnitFloats / (d.hw * d.c_in)); }

// Per sample: y = factor * sum over its rows.
void fold_samples(Exec& exec, const NormedDims& d, const Normed& in, const float* g, float factor, float* y) {
  const NormedPasses& passes = normed_passes(exec.target());
  parallel_for(exec, d.rows / d.hw, sample_grain(d), [&](i64 begin, i64 end, int) {
    for (i64 n = begin; n < end; ++n) {
      const i64 at = n * d.hw * d.c_in;
      passes.fold({.c = d.c_in,
                   .g = g ? g + at : nullptr,
                   .x = in.x + at,
                   .mean = in.mean,
                   .scale = in.scale,
                   .beta = in.beta,
                   .act = in.act,
                   .factor = factor,
                   .out = y + n * d.c_in},
                  d.hw);
    }
  });
}

// y = act(x w + bias) of one vector a sample.
void multiply(Exec& exec, i64 samples, const float* x, i64 c_in, const float* w, i64 w_row, const float* bias,
              Act act, float* y, i64 c_out) {
  normed_pointwise(exec, {.dims = {.rows = samples, .c_in = c_in, .c_out = c_out},
                          .in = {.x = x},
                          .w = w,
                          .w_row = w_row,
                          .y = y,
                          .bias = bias,
                          .act = act});
}
// gx of the same product.
void multiply_back(Exec& exec, i64 samples, const float* gy, i64 c_out, const float* w, i64 w_row, float* gx,
                   i64 c_in) {
  conv2d_grad(
      exec, Conv2dGradCall{.dims = {.n = samples, .h = 1, .w = 1, .c_in = c_in, .c_out = c_out, .kernel = 1},
                           .out_h = 1,
                           .out_w = 1,
                           .x = nullptr,
                           .w = {w, w_row, c_in, c_in},
                           .gy = gy,
                           .gx = gx,
                           .gw = nullptr});
}
// gx *= the slope of the activation at x
void through(Exec& exec, Act act, i64 count, const float* x, float* gx) {
  activate_grad(exec, ActGradCall{.dims = {.count = count, .act = act}, .x = x, .gy = gx, .gx = gx});
}

}  // namespace

// The host's: the passes over the tensor, and the doors of the products between.
void normed_squeeze(Exec& exec, const NormedSqueezeCall& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::normed_squeeze(exec, call);
  const NormedDims& d = call.dims;
  const i64 samples = d.rows / d.hw;
  if (note(exec,
           normed_row(exec.target(), "normed_mean/any/portable", "normed_mean/any/avx2",
                      "normed_mean/any/avx512"),
           normed_pass_cost(d, 5, 1, 0)))
    fold_samples(exec, d, call.in, nullptr, 1.0f / float(d.hw), call.mean);
  multiply(exec, samples, call.mean, d.c_in, call.reduce, call.reduce_row, call.reduce_bias, Act::relu,
           call.hidden, call.reduced);
  multiply(exec, samples, call.hidden, call.reduced, call.gate, call.gate_row, call.gate_bias, Act::none,
           call.raw, d.c_in);
  activate(
      exec,
      ActCall{.dims = {.count = samples * d.c_in, .act = Act::hard_sigmoid}, .x = call.raw, .y = call.value});
}

void normed_squeeze_grad(Exec& exec, const NormedSqueezeGradCall& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::normed_squeeze_grad(exec, call);
  const NormedDims& d = call.dims;
  const i64 samples = d.rows / d.hw;
  if (note(exec,
           normed_row(exec.target(), "normed_gate_grad/any/portable", "normed_gate_grad/any/avx2",
                      "normed_gate_grad/any/avx512"),
           normed_pass_cost(d, 6, 2, 0)))
    fold_samples(exec, d, call.in, call.g, 1, call.of_raw);
  through(exec, Act::hard_sigmoid, samples * d.c_in, call.raw, call.of_raw);
  multiply_back(exec, samples, call.of_raw, d.c_in, call.gate, call.gate_row, call.of_hidden, call.reduced);
  // Of the activated value: positive exactly where its input was.
  through(exec, Act::relu, samples * call.reduced, call.hidden, call.of_hidden);
  multiply_back(exec, samples, call.of_hidden, call.reduced, call.reduce, call.reduce_row, call.of_mean,
                d.c_in);
}

}  // namespace offramp::kernels
