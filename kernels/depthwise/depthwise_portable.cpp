// The general rows: any kernel, stride and padding, in plain C++ over blocks of 16 channels.
#include <algorithm>

#include "kernels/act/act_ref.h"
#include "kernels/depthwise/depthwise_rows.h"

namespace offramp::kernels {
namespace {

constexpr i64 kBlock = 16;

// Which kernel taps of output position `at` lie inside [0, size).
struct Taps {
  i64 begin, end;
};
Taps taps_inside(i64 at, i64 stride, i64 pad, i64 kernel, i64 size) {
  const i64 first = at * stride - pad;
  return {std::max<i64>(0, -first), std::min(kernel, size - first)};
}

// Calls body(lane) for the lanes of a block; the full block has a constant trip count, which vectorises.
template <class Body>
void for_lanes(i64 lanes, Body&& body) {
  if (lanes == kBlock)
    for (i64 l = 0; l < kBlock; ++l) body(l);
  else
    for (i64 l = 0; l < lanes; ++l) body(l);
}

}  // namespace

void depthwise_any_portable(const DepthwiseCall& call, const float* packed, i64 begin, i64 end) {
  const DepthwiseDims& d = call.dims;
  const i64 blocks = (d.c + kBlock - 1) / kBlock;
  for (i64 unit = begin; unit < end; ++unit) {
    const i64 n = unit / blocks, c = unit % blocks * kBlock, lanes = std::min(kBlock, d.c - c);
    const float* w = packed + c * d.kernel * d.kernel;
    for (i64 row = 0; row < call.out_h; ++row) {
      const Taps rows = taps_inside(row, d.stride, d.pad, d.kernel, d.h);
      for (i64 col = 0; col < call.out_w; ++col) {
        const Taps cols = taps_inside(col, d.stride, d.pad, d.kernel, d.w);
        float sum[kBlock] = {};
        for (i64 kr = rows.begin; kr < rows.end; ++kr)
          for (i64 kc = cols.begin; kc < cols.end; ++kc) {
            const i64 r = row * d.stride - d.pad + kr, s = col * d.stride - d.pad + kc;
            const float* x = call.x + ((n * d.h + r) * d.w + s) * d.c + c;
            const float* tap = w + (kr * d.kernel + kc) * kBlock;
            for_lanes(lanes, [&](i64 l) { sum[l] += x[l] * tap[l]; });
          }
        float* y = call.y + ((n * call.out_h + row) * call.out_w + col) * d.c + c;
        if (call.bias) for_lanes(lanes, [&](i64 l) { sum[l] += call.bias[c + l]; });
        for (i64 l = 0; l < lanes; ++l) y[l] = apply_act(call.act, sum[l]);
      }
    }
  }
}

void depthwise_input_grad_any_portable(const DepthwiseGradCall& call, const float* packed, i64 begin,
                                       i64 end) {
  const DepthwiseDims& d = call.dims;
  const i64 blocks = (d.c + kBlock - 1) / kBlock;
  for (i64 unit = begin; unit < end; ++unit) {
    const i64 n = unit / blocks, c = unit % blocks * kBlock, lanes = std::min(kBlock, d.c - c);
    const float* w = packed + c * d.kernel * d.kernel;
    for (i64 row = 0; row < d.h; ++row)
      for (i64 col = 0; col < d.w; ++col) {
        float sum[kBlock] = {};
        // Output row o reads this row through tap kr where o * stride + kr = row + pad.
        for (i64 kr = (row + d.pad) % d.stride; kr < d.kernel; kr += d.stride) {
          const i64 r = (row + d.pad - kr) / d.stride;
          if (row + d.pad < kr || r >= call.out_h) continue;
          for (i64 kc = (col + d.pad) % d.stride; kc < d.kernel; kc += d.stride) {
            const i64 s = (col + d.pad - kc) / d.stride;
            if (col + d.pad < kc || s >= call.out_w) continue;
            const float* gy = call.gy + ((n * call.out_h + r) * call.out_w + s) * d.c + c;
            const float* tap = w + (kr * d.kernel + kc) * kBlock;
            for_lanes(lanes, [&](i64 l) { sum[l] += gy[l] * tap[l]; });
          }
        }
        float* gx = call.gx + ((n * d.h + row) * d.w + col) * d.c + c;
        for_lanes(lanes, [&](i64 l) { gx[l] = sum[l]; });
      }
  }
}

void depthwise_weight_grad_any_portable(const DepthwiseGradCall& call, i64 sample_begin, i64 sample_end,
                                        i64 channel, float* partial) {
  const DepthwiseDims& d = call.dims;
  const i64 lanes = std::min(kBlock, d.c - channel);
  for (i64 n = sample_begin; n < sample_end; ++n)
    for (i64 row = 0; row < call.out_h; ++row) {
      const Taps rows = taps_inside(row, d.stride, d.pad, d.kernel, d.h);
      for (i64 col = 0; col < call.out_w; ++col) {
        const Taps cols = taps_inside(col, d.stride, d.pad, d.kernel, d.w);
        const float* gy = call.gy + ((n * call.out_h + row) * call.out_w + col) * d.c + channel;
        for (i64 kr = rows.begin; kr < rows.end; ++kr)
          for (i64 kc = cols.begin; kc < cols.end; ++kc) {
            const i64 r = row * d.stride - d.pad + kr, s = col * d.stride - d.pad + kc;
            const float* x = call.x + ((n * d.h + r) * d.w + s) * d.c + channel;
            float* sum = partial + (kr * d.kernel + kc) * kBlock;
            for_lanes(lanes, [&](i64 l) { sum[l] += x[l] * gy[l]; });
          }
      }
    }
}

}  // namespace offramp::kernels
