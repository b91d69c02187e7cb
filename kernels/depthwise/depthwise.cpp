#include "kernels/depthwise/depthwise.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/cuda/built.h"

#include <algorithm>
#include <string>

#include "kernels/depthwise/depthwise_ref.h"
#include "kernels/error.h"
#include "kernels/parallel.h"
#include "kernels/recorder.h"
#include "kernels/select.h"

namespace offramp::kernels {
namespace {

i64 ceil_div(i64 a, i64 b) { return (a + b - 1) / b; }

i64 packed_floats(const DepthwiseDims& d, i64 block) {
  return ceil_div(d.c, block) * block * d.kernel * d.kernel;
}

void pack(const DepthwiseDims& d, i64 block, const WeightView& w, float* packed) {
  const i64 taps = d.kernel * d.kernel;
  for (i64 c = 0; c < ceil_div(d.c, block) * block; ++c)
    for (i64 kr = 0; kr < d.kernel; ++kr)
      for (i64 kc = 0; kc < d.kernel; ++kc)
        packed[(c / block * taps + kr * d.kernel + kc) * block + c % block] =
            c < d.c ? w.data[c * w.to_next_out + kr * w.to_next_row + kc * w.to_next_tap] : 0.0f;
}

// Units a chunk takes: about 64 thousand multiply-accumulates, a few microseconds.
i64 grain_of(i64 macs_per_unit) { return std::max<i64>(1, 65536 / std::max<i64>(1, macs_per_unit)); }

// Packed weights of cropped dims, from the whole weights.
void pack_cropped(const DepthwiseDims& whole, const DepthwiseDims& d, i64 block, const WeightView& w,
                  float* packed) {
  pack(d, block, crop_kernel(w, whole.kernel, d.kernel), packed);
}

void input_grad(Exec& exec, DepthwiseGradCall call) {
  const DepthwiseDims whole = call.dims, d = call.dims = depthwise_cropped(whole);
  const auto& row = select_row(depthwise_input_grad_table(), exec.target(), d);
  if (!note(exec, row.name, depthwise_input_grad_cost(whole))) return;
  float* packed = exec.shared_scratch(packed_floats(d, row.block));
  pack_cropped(whole, d, row.block, call.w, packed);
  const i64 macs = call.out_h * call.out_w * d.kernel * d.kernel * row.block;
  parallel_for(exec, d.n * ceil_div(d.c, row.block), grain_of(macs),
               [&](i64 begin, i64 end, int) { row.run(call, packed, begin, end); });
}

void weight_grad(Exec& exec, const DepthwiseGradCall& call) {
  const DepthwiseDims& d = call.dims;
  const auto& row = select_row(depthwise_weight_grad_table(), exec.target(), d);
  if (!note(exec, row.name, depthwise_weight_grad_cost(d))) return;
  // One partial sum for each group of samples; the borders depend on n alone.
  const i64 group = ceil_div(d.n, 16), groups = ceil_div(d.n, group), blocks = ceil_div(d.c, row.block);
  const i64 taps = d.kernel * d.kernel, partial_floats = taps * row.block;
  float* partials = exec.shared_scratch(groups * blocks * partial_floats);
  const i64 macs = group * call.out_h * call.out_w * taps * row.block;
  parallel_for(exec, groups * blocks, grain_of(macs), [&](i64 begin, i64 end, int) {
    std::fill(partials + begin * partial_floats, partials + end * partial_floats, 0.0f);
    for (i64 unit = begin; unit < end; ++unit) {
      const i64 first = unit / blocks * group;
      row.run(call, first, std::min(first + group, d.n), unit % blocks * row.block,
              partials + unit * partial_floats);
    }
  });
  for (i64 c = 0; c < d.c; ++c)
    for (i64 tap = 0; tap < taps; ++tap) {
      const float* partial = partials + (c / row.block * taps + tap) * row.block + c % row.block;
      float sum = 0;
      for (i64 g = 0; g < groups; ++g) sum += partial[g * blocks * partial_floats];
      call.gw[c * taps + tap] = sum;
    }
}

}  // namespace

void require_depthwise(const DepthwiseDims& d) {
  const Extent out = depthwise_out({d.n, d.h, d.w, d.c, d.kernel, std::max<i64>(d.stride, 1), d.pad});
  const bool fits = d.h + 2 * d.pad >= d.kernel && d.w + 2 * d.pad >= d.kernel && out.h >= 1 && out.w >= 1;
  if (d.n >= 1 && d.h >= 1 && d.w >= 1 && d.c >= 1 && d.kernel >= 1 && d.stride >= 1 && d.pad >= 0 && fits)
    return;
  throw input_error(
      "depthwise: wanted positive sizes, pad >= 0 and a kernel inside the padded image, got x [" +
      std::to_string(d.n) + "," + std::to_string(d.h) + "," + std::to_string(d.w) + "," +
      std::to_string(d.c) + "], kernel " + std::to_string(d.kernel) + ", stride " + std::to_string(d.stride) +
      ", pad " + std::to_string(d.pad));
}

i64 depthwise_packed_floats(const DepthwiseDims& whole, Target target) {
  const DepthwiseDims d = depthwise_cropped(whole);
  return packed_floats(d, select_row(depthwise_table(), target, d).block);
}

void depthwise_pack(const DepthwiseDims& whole, Target target, WeightView w, float* packed) {
  const DepthwiseDims d = depthwise_cropped(whole);
  pack_cropped(whole, d, select_row(depthwise_table(), target, d).block, w, packed);
}

void depthwise(Exec& exec, const DepthwiseCall& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::depthwise(exec, call);
  DepthwiseCall cropped = call;
  const DepthwiseDims d = cropped.dims = depthwise_cropped(call.dims);
  const auto& row = select_row(depthwise_table(), exec.target(), d);
  if (!note(exec, row.name, depthwise_cost(call.dims), call)) return;
  const float* packed = call.packed;
  if (!packed) {
    float* scratch = exec.shared_scratch(packed_floats(d, row.block));
    pack_cropped(call.dims, d, row.block, call.w, scratch);
    packed = scratch;
  }
  const i64 macs = call.out_h * call.out_w * d.kernel * d.kernel * row.block;
  parallel_for(exec, d.n * ceil_div(d.c, row.block), grain_of(macs),
               [&](i64 begin, i64 end, int) { row.run(cropped, packed, begin, end); });
}

void depthwise(Exec& exec, const DepthwiseCallT<double>& call) {
  if (note(exec, "depthwise/reference/double", depthwise_cost(call.dims))) depthwise_ref(call);
}

void depthwise_grad(Exec& exec, const DepthwiseGradCall& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::depthwise_grad(exec, call);
  if (call.gx) input_grad(exec, call);
  if (call.gw) weight_grad(exec, call);
}

void depthwise_grad(Exec& exec, const DepthwiseGradCallT<double>& call) {
  Cost cost;
  if (call.gx) cost += depthwise_input_grad_cost(call.dims);
  if (call.gw) cost += depthwise_weight_grad_cost(call.dims);
  if (note(exec, "depthwise_grad/reference/double", cost)) depthwise_grad_ref(call);
}

}  // namespace offramp::kernels
