// Reference convolution and its gradients: the oracle of the family, on any scalar. Padded taps are
// multiplied by zero, so a counting scalar sees the declared dense cost.
#pragma once
#include "kernels/act/act_ref.h"
#include "kernels/conv2d/conv2d_call.h"

namespace offramp::kernels {

namespace detail {

// Calls body(y index, x index or -1 in the padding, weight offset, dense weight index) for every product.
template <class Call, class Body>
void for_each_product(const Call& call, Body&& body) {
  const Conv2dDims& d = call.dims;
  const i64 in_g = d.c_in / d.groups, out_g = d.c_out / d.groups;
  for (i64 n = 0; n < d.n; ++n)
    for (i64 oy = 0; oy < call.out_h; ++oy)
      for (i64 ox = 0; ox < call.out_w; ++ox)
        for (i64 co = 0; co < d.c_out; ++co) {
          const i64 out = ((n * call.out_h + oy) * call.out_w + ox) * d.c_out + co;
          for (i64 row = 0; row < d.kernel; ++row)
            for (i64 col = 0; col < d.kernel; ++col) {
              const i64 iy = oy * d.stride - d.pad + row, ix = ox * d.stride - d.pad + col;
              const bool inside = iy >= 0 && iy < d.h && ix >= 0 && ix < d.w;
              const i64 in = ((n * d.h + iy) * d.w + ix) * d.c_in + co / out_g * in_g;
              const i64 weight =
                  co * call.w.to_next_out + row * call.w.to_next_row + col * call.w.to_next_tap;
              const i64 dense = ((co * d.kernel + row) * d.kernel + col) * in_g;
              for (i64 ci = 0; ci < in_g; ++ci) body(out, inside ? in + ci : -1, weight + ci, dense + ci);
            }
        }
}

}  // namespace detail

template <class T>
void conv2d_ref(const Conv2dCallT<T>& call) {
  const Conv2dDims& d = call.dims;
  // The epilogue of an element runs when its last product has been added, so that y may be the residual.
  const i64 products = d.kernel * d.kernel * (d.c_in / d.groups);
  T sum(0);
  i64 added = 0;
  detail::for_each_product(call, [&](i64 out, i64 in, i64 weight, i64) {
    sum += (in < 0 ? T(0) : call.x[in]) * call.w.data[weight];
    if (++added < products) return;
    if (call.bias) sum += call.bias[out % d.c_out];
    if (call.residual) sum += call.residual[out];
    call.y[out] = call.act == Act::none ? sum : apply_act(call.act, sum);
    sum = T(0);
    added = 0;
  });
}

template <class T>
void conv2d_grad_ref(const Conv2dGradCallT<T>& call) {
  const Conv2dDims& d = call.dims;
  if (call.gx) {
    for (i64 i = 0; i < d.n * d.h * d.w * d.c_in; ++i) call.gx[i] = T(0);
    detail::for_each_product(call, [&](i64 out, i64 in, i64 weight, i64) {
      if (in >= 0) call.gx[in] += call.gy[out] * call.w.data[weight];
    });
  }
  if (call.gw) {
    for (i64 i = 0; i < d.c_out * d.kernel * d.kernel * (d.c_in / d.groups); ++i) call.gw[i] = T(0);
    detail::for_each_product(call, [&](i64 out, i64 in, i64, i64 dense) {
      if (in >= 0) call.gw[dense] += call.gy[out] * call.x[in];
    });
  }
}

}  // namespace offramp::kernels
