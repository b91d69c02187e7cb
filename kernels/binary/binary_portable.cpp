// Plain loops over units. Sums over hw run in four interleaved partial sums, as in the vector rows, so that
// every target gives the same bits.
#include "kernels/binary/binary_rows.h"

namespace offramp::kernels {
namespace {

template <bool kMul>
void forward(const BinaryCall& call, i64 begin, i64 end) {
  const i64 c = call.dims.c, hw = call.dims.hw;
  if (!call.dims.broadcast) {
    for (i64 i = begin; i < end; ++i) call.y[i] = kMul ? call.x[i] * call.z[i] : call.x[i] + call.z[i];
    return;
  }
  for (i64 pixel = begin; pixel < end; ++pixel) {
    const float* x = call.x + pixel * c;
    const float* z = call.z + pixel / hw * c;
    float* y = call.y + pixel * c;
    for (i64 ch = 0; ch < c; ++ch) y[ch] = kMul ? x[ch] * z[ch] : x[ch] + z[ch];
  }
}

template <bool kMul>
void grad_same_shape(const BinaryGradCall& call, i64 begin, i64 end) {
  for (i64 i = begin; i < end; ++i) {
    const float gy = call.gy[i];
    const float gz = kMul && call.gz ? gy * call.x[i] : gy;
    const float gx = kMul && call.gx ? gy * call.z[i] : gy;
    if (call.gz) call.gz[i] = gz;
    if (call.gx) call.gx[i] = gx;
  }
}

template <bool kMul>
void grad_broadcast(const BinaryGradCall& call, i64 begin, i64 end) {
  const i64 c = call.dims.c, hw = call.dims.hw;
  for (i64 sample = begin; sample < end; ++sample)
    for (i64 ch = 0; ch < c; ++ch) {
      const float z = kMul && call.gx ? call.z[sample * c + ch] : 1.0f;
      float sum[4] = {0, 0, 0, 0};
      for (i64 pixel = 0; pixel < hw; ++pixel) {
        const i64 at = (sample * hw + pixel) * c + ch;
        const float gy = call.gy[at];
        if (call.gz) sum[pixel & 3] += kMul ? gy * call.x[at] : gy;
        if (call.gx) call.gx[at] = kMul ? gy * z : gy;
      }
      if (call.gz) call.gz[sample * c + ch] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    }
}

}  // namespace

void binary_portable(const BinaryCall& call, i64 begin, i64 end) {
  call.dims.kind == BinaryKind::mul ? forward<true>(call, begin, end) : forward<false>(call, begin, end);
}

void binary_grad_portable(const BinaryGradCall& call, i64 begin, i64 end) {
  const bool mul = call.dims.kind == BinaryKind::mul;
  if (call.dims.broadcast)
    mul ? grad_broadcast<true>(call, begin, end) : grad_broadcast<false>(call, begin, end);
  else
    mul ? grad_same_shape<true>(call, begin, end) : grad_same_shape<false>(call, begin, end);
}

}  // namespace offramp::kernels
