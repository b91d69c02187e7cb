// Reference of the depthwise family, a template on the scalar: truth, double-precision gradients, MAC
// counting. Taps outside the image are multiplied as zeros, so that the count is the dense one.
#pragma once
#include "kernels/act/act_ref.h"
#include "kernels/depthwise/depthwise_call.h"

namespace offramp::kernels {

// Calls visit(output index, input index or -1 outside the image, tap row, tap col, channel), taps innermost.
template <class Visit>
void visit_depthwise_taps(const DepthwiseDims& d, i64 out_h, i64 out_w, Visit&& visit) {
  for (i64 n = 0; n < d.n; ++n)
    for (i64 row = 0; row < out_h; ++row)
      for (i64 col = 0; col < out_w; ++col)
        for (i64 c = 0; c < d.c; ++c)
          for (i64 kr = 0; kr < d.kernel; ++kr)
            for (i64 kc = 0; kc < d.kernel; ++kc) {
              const i64 r = row * d.stride - d.pad + kr, s = col * d.stride - d.pad + kc;
              const bool inside = r >= 0 && r < d.h && s >= 0 && s < d.w;
              visit(((n * out_h + row) * out_w + col) * d.c + c,
                    inside ? ((n * d.h + r) * d.w + s) * d.c + c : -1, kr, kc, c);
            }
}

template <class T>
T depthwise_weight(const WeightViewT<T>& w, i64 c, i64 kr, i64 kc) {
  return w.data[c * w.to_next_out + kr * w.to_next_row + kc * w.to_next_tap];
}

template <class T>
void depthwise_ref(const DepthwiseCallT<T>& call) {
  const DepthwiseDims& d = call.dims;
  const i64 outputs = d.n * call.out_h * call.out_w * d.c;
  for (i64 i = 0; i < outputs; ++i) call.y[i] = T(0);
  visit_depthwise_taps(d, call.out_h, call.out_w, [&](i64 out, i64 in, i64 kr, i64 kc, i64 c) {
    const T x = in < 0 ? T(0) : call.x[in];
    call.y[out] += x * depthwise_weight(call.w, c, kr, kc);
  });
  for (i64 i = 0; i < outputs; ++i) {
    const T biased = call.bias ? call.y[i] + call.bias[i % d.c] : call.y[i];
    call.y[i] = call.act == Act::none ? biased : apply_act(call.act, biased);
  }
}

template <class T>
void depthwise_grad_ref(const DepthwiseGradCallT<T>& call) {
  const DepthwiseDims& d = call.dims;
  if (call.gx) {
    for (i64 i = 0; i < d.n * d.h * d.w * d.c; ++i) call.gx[i] = T(0);
    visit_depthwise_taps(d, call.out_h, call.out_w, [&](i64 out, i64 in, i64 kr, i64 kc, i64 c) {
      T outside{};
      (in < 0 ? outside : call.gx[in]) += call.gy[out] * depthwise_weight(call.w, c, kr, kc);
    });
  }
  if (call.gw) {
    for (i64 i = 0; i < d.c * d.kernel * d.kernel; ++i) call.gw[i] = T(0);
    visit_depthwise_taps(d, call.out_h, call.out_w, [&](i64 out, i64 in, i64 kr, i64 kc, i64 c) {
      const T x = in < 0 ? T(0) : call.x[in];
      call.gw[(c * d.kernel + kr) * d.kernel + kc] += x * call.gy[out];
    });
  }
}

}  // namespace offramp::kernels
