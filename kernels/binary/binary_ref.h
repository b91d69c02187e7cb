// Reference of add and mul, a template on the scalar: loops as the definition reads.
#pragma once
#include "kernels/binary/binary_call.h"

namespace offramp::kernels {

template <class T>
void binary_reference(const BinaryCallT<T>& call) {
  const auto [n, hw, c, kind, broadcast] = call.dims;
  for (i64 sample = 0; sample < n; ++sample)
    for (i64 pixel = 0; pixel < hw; ++pixel)
      for (i64 ch = 0; ch < c; ++ch) {
        const i64 at = (sample * hw + pixel) * c + ch;
        const T z = call.z[broadcast ? sample * c + ch : at];
        call.y[at] = kind == BinaryKind::add ? call.x[at] + z : call.x[at] * z;
      }
}

template <class T>
void binary_grad_reference(const BinaryGradCallT<T>& call) {
  const auto [n, hw, c, kind, broadcast] = call.dims;
  const bool mul = kind == BinaryKind::mul;
  if (call.gz && broadcast)
    for (i64 i = 0; i < n * c; ++i) call.gz[i] = T(0);
  for (i64 sample = 0; sample < n; ++sample)
    for (i64 pixel = 0; pixel < hw; ++pixel)
      for (i64 ch = 0; ch < c; ++ch) {
        const i64 at = (sample * hw + pixel) * c + ch, z_at = broadcast ? sample * c + ch : at;
        const T gy = call.gy[at];
        if (call.gz) {
          const T gz = mul ? gy * call.x[at] : gy;
          if (broadcast)
            call.gz[z_at] += gz;
          else
            call.gz[z_at] = gz;
        }
        if (call.gx) call.gx[at] = mul ? gy * call.z[z_at] : gy;
      }
}

}  // namespace offramp::kernels
