// The rows of the two conv2d tables; for conv2d_table.cpp and the files per target. But for the stem all
// vector work happens in the tile engine of gemm.
#pragma once
#include "kernels/conv2d/conv2d_call.h"
#include "kernels/exec.h"
#include "kernels/gemm/tiles.h"

namespace offramp::kernels {

i64 conv2d_packed_floats(const Conv2dDims& dims, const TileEngine& engine);
// `offsets` has room for kernel * kernel values.
void conv2d_pack(const Conv2dDims& dims, const TileEngine& engine, WeightView w, i64* offsets, float* packed);

// 1x1, stride 1, no padding, one group: a gemm on x as it lies.
constexpr bool is_pointwise(const Conv2dDims& d) {
  return d.kernel == 1 && d.stride == 1 && d.pad == 0 && d.groups == 1;
}
void conv2d_pointwise(Exec& exec, const Conv2dCall& call, const TileEngine& engine);
// Any convolution, as indirect products over windows (window.h).
void conv2d_indirect(Exec& exec, const Conv2dCall& call, const TileEngine& engine);
// 3x3 over three channels (stem.inc): `run` does output rows [begin, end) of all images, with `lines` as
// scratch.
using StemRun = void(const Conv2dCall& call, const float* packed, float* lines, i64 begin, i64 end);
StemRun conv2d_stem_avx2, conv2d_stem_avx512;
void conv2d_stem(Exec& exec, const Conv2dCall& call, const TileEngine& engine, StemRun& run);
// Any gradient. gx is an indirect product of gy with the taps turned around, one per residue of the position
// modulo the stride. gw sums over units of pixels; parts of units have their own sums, added in order.
void conv2d_grad_indirect(Exec& exec, const Conv2dGradCall& call, const TileEngine& engine);

namespace cuda {
// cuDNN, dense convolutions; only in builds with OFFRAMP_CUDNN. T: float, Bf16.
template <class T>
void conv2d_cudnn(Exec& exec, const Conv2dCallT<T>& call);
}  // namespace cuda

}  // namespace offramp::kernels
