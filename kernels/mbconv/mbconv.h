// An inverted-residual block (Sandler et al. 2018; squeeze-excite as in Howard et al. 2019) as one launch of
// a card, for inference on few images. Its reference are the calls that it stands for, one by one: the same
// bits.
#pragma once
#include "kernels/bf16.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/depthwise/depthwise.h"
#include "kernels/exec.h"
#include "kernels/mbconv/mbconv_call.h"

namespace offramp::kernels {

constexpr DepthwiseDims depthwise_of(const MBConvDims& d) {
  return {.n = d.n, .h = d.h, .w = d.w, .c = d.mid, .kernel = d.kernel, .stride = d.stride, .pad = d.pad};
}
// The sum of its convolutions' macs; of the tensors, x and y alone pass through memory (and x once more as a
// residual, which is not counted).
constexpr Cost mbconv_cost(const MBConvDims& d) {
  const Extent out = depthwise_out(depthwise_of(d));
  const i64 in = d.n * d.h * d.w, outs = d.n * out.h * out.w, taps = d.kernel * d.kernel;
  const i64 squeeze = 2 * d.reduced * d.mid, expand = d.expands ? d.c_in * d.mid : 0;
  return {.macs = in * expand + outs * d.mid * (taps + d.c_out) + d.n * squeeze,
          .other_ops = 0,
          .bytes_read = 4 * (in * d.c_in + expand + d.mid * (taps + d.c_out) + squeeze),
          .bytes_written = 4 * outs * d.c_out};
}

// Whether this context's card computes such a block in one launch: all its slices of hidden channels at once,
// each in the memory of one multiprocessor. False on the host.
template <class T>
bool mbconv_fits(const Exec& exec, const MBConvDims& dims);

// Where it fits.
void mbconv(Exec& exec, const MBConvCallT<float>& call);
void mbconv(Exec& exec, const MBConvCallT<Bf16>& call);

// On a card, any sizes: the scaled tensor is formed while it is multiplied, with the bits of two calls.
void scaled_project(Exec& exec, const ScaledProjectCallT<float>& call);
void scaled_project(Exec& exec, const ScaledProjectCallT<Bf16>& call);

}  // namespace offramp::kernels
