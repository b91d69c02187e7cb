// The rows of the two conv2d tables; for conv2d_table.cpp only. All vector work happens in the tile engine of
// gemm, so the family has no files per target of its own.
#pragma once
#include "kernels/conv2d/conv2d_call.h"
#include "kernels/exec.h"
#include "kernels/gemm/tiles.h"

namespace offramp::kernels {

i64 conv2d_packed_floats(const Conv2dDims& dims, const TileEngine& engine);
// `offsets` has room for kernel * kernel values.
void conv2d_pack(const Conv2dDims& dims, const TileEngine& engine, WeightView w, i64* offsets, float* packed);

// 1x1, stride 1, no padding, one group: a gemm on x as it lies.
void conv2d_pointwise(Exec& exec, const Conv2dCall& call, const TileEngine& engine);
// Any convolution, as indirect products over windows (window.h).
void conv2d_indirect(Exec& exec, const Conv2dCall& call, const TileEngine& engine);
// Any gradient. gx is an indirect product of gy with the taps turned around, one per residue of the position
// modulo the stride. gw sums over units of pixels; parts of units have their own sums, added in order.
void conv2d_grad_indirect(Exec& exec, const Conv2dGradCall& call, const TileEngine& engine);

}  // namespace offramp::kernels
