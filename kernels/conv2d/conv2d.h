// 2-D convolution (cross-correlation), dense or grouped, forward and gradients.
#pragma once
#include <span>
#include <string_view>

#include "kernels/bf16.h"
#include "kernels/conv2d/conv2d_call.h"
#include "kernels/cost.h"
#include "kernels/exec.h"

namespace offramp::kernels {

// Output size. Source: Dumoulin & Visin 2016, relationship 6.
constexpr Extent conv2d_out(const Conv2dDims& d) {
  return {(d.h + 2 * d.pad - d.kernel) / d.stride + 1, (d.w + 2 * d.pad - d.kernel) / d.stride + 1};
}

// Dense count: padded taps included, divided by groups. Gradients cost the same macs each.
constexpr Cost conv2d_cost(const Conv2dDims& d) {
  const Extent out = conv2d_out(d);
  const i64 taps = d.kernel * d.kernel * (d.c_in / d.groups);
  return {.macs = d.n * out.h * out.w * d.c_out * taps,
          .other_ops = 0,
          .bytes_read = 4 * (d.n * d.h * d.w * d.c_in + d.c_out * taps),
          .bytes_written = 4 * d.n * out.h * out.w * d.c_out};
}
static_assert(conv2d_cost({.n = 1, .h = 32, .w = 32, .c_in = 3, .c_out = 16, .kernel = 3, .pad = 1}).macs ==
              32 * 32 * 16 * 3 * 9);

// Throws Error(input) when a dimension is < 1, pad < 0, groups does not divide both channel counts, the
// kernel is larger than the padded image, or an array has 2^40 elements or more.
void require_conv2d(const Conv2dDims& dims);

// The centre k x k of a big_k x big_k kernel, as a view.
template <class T>
constexpr WeightViewT<T> crop_kernel(WeightViewT<T> big, i64 big_k, i64 k) {
  const i64 skip = (big_k - k) / 2;
  return {big.data + skip * (big.to_next_row + big.to_next_tap), big.to_next_out, big.to_next_row,
          big.to_next_tap};
}

// Dense weights [c_out][kernel][kernel][c_in/groups] as a view.
template <class T>
constexpr WeightViewT<T> dense_weights(const T* data, const Conv2dDims& d) {
  const i64 tap = d.c_in / d.groups;
  return {data, d.kernel * d.kernel * tap, d.kernel * tap, tap};
}

// y = act(conv(x, w) + bias + residual):
//   x [n,h,w,c_in]   w [c_out,k,k,c_in/groups] as a view   y, residual [n,oh,ow,c_out]   bias [c_out]
// For one target, a sample of y has the same bits at any batch size, packing or number of threads. residual
// may be y.
void conv2d(Exec& exec, const Conv2dCallT<float>& call);
void conv2d(Exec& exec, const Conv2dCallT<double>& call);  // the reference, for gradient checks

// gx and gw of the plain convolution, each only when asked for. The same bits for any number of threads.
void conv2d_grad(Exec& exec, const Conv2dGradCallT<float>& call);
void conv2d_grad(Exec& exec, const Conv2dGradCallT<double>& call);
// On the card. Bf16 lives nowhere else.
void conv2d(Exec& exec, const Conv2dCallT<Bf16>& call);
void conv2d_grad(Exec& exec, const Conv2dGradCallT<Bf16>& call);
namespace cuda {
void conv2d(Exec& exec, const Conv2dCallT<float>& call);
void conv2d_grad(Exec& exec, const Conv2dGradCallT<float>& call);

// One row of the card's table of forward convolutions, T float or Bf16. The door takes the first that is
// selectable and accepts the dims. Operands are device memory.
template <class T>
struct Conv2dRow {
  std::string_view name;
  bool selectable;  // false: run by name only
  bool (*accepts)(const Conv2dDims&);
  void (*run)(Exec&, const Conv2dCallT<T>&);  // records nothing
};
template <class T>
std::span<const Conv2dRow<T>> conv2d_rows();
}  // namespace cuda

// Packing the weights for a target, once per weight version; the size does not depend on n, h and w.
i64 conv2d_packed_floats(const Conv2dDims& dims, Target target);
void conv2d_pack(const Conv2dDims& dims, Target target, WeightView w, float* packed);

// Rows of the two tables, best first; they record nothing.
struct Conv2dKernel {
  std::string_view name;  // "conv2d/variant/target"
  Target target;
  bool (*accepts)(const Conv2dDims&);
  void (*run)(Exec&, const Conv2dCall&);
};
struct Conv2dGradKernel {
  std::string_view name;
  Target target;
  bool (*accepts)(const Conv2dDims&);
  void (*run)(Exec&, const Conv2dGradCall&);
};
std::span<const Conv2dKernel> conv2d_kernels();
std::span<const Conv2dGradKernel> conv2d_grad_kernels();
// The rows the doors take.
const Conv2dKernel& select_conv2d(const Conv2dDims& dims, Target target);
const Conv2dGradKernel& select_conv2d_grad(const Conv2dDims& dims, Target target);

}  // namespace offramp::kernels
