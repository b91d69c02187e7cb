// Plain structs of the kernels between two normalisations of a training step. Inside a block, only the raw
// results of the convolutions are stored: who needs a normalised, activated tensor forms it again from the
// raw one while a tile is in cache, and who needs the gradient of a raw result forms it from the gradient
// behind the activation.
#pragma once
#include "kernels/depthwise/depthwise_call.h"
#include "kernels/types.h"

namespace offramp::kernels {

// A tensor [rows][c] to be read as act((x - mean) * scale + beta) * gate[row / hw]; mean null: as it is.
struct Normed {
  const float* x;
  const float *mean = nullptr, *scale = nullptr, *beta = nullptr;  // [c]
  Act act = Act::none;
  const float* gate = nullptr;  // [rows / hw][c] or null
};

// The gradient of a raw result y, to be read as (scale * dz - of_mean) - (y - mean) * of_var; y null: dz
// itself.
struct NormedGrad {
  const float *dz, *y = nullptr;                                                         // [rows][c]
  const float *mean = nullptr, *scale = nullptr, *of_mean = nullptr, *of_var = nullptr;  // [c]
};

// The normalisation behind a convolution: from gamma and the batch come mean, biased variance and
// scale = gamma / sqrt(var + eps). gamma null: none is behind it.
struct NormOut {
  const float* gamma = nullptr;
  float eps = 0;
  float *mean = nullptr, *var = nullptr, *scale = nullptr;
};

// What the gradient of a normalisation leaves once the sums of dz and of dz * (x - mean) are known: the
// gradients of gamma and beta, and the two vectors of NormedGrad.
struct NormGradOut {
  const float* var;
  float eps;
  float *ggamma, *gbeta, *of_mean, *of_var;
};

struct NormedDims {
  i64 rows, c_in, c_out;
  i64 hw = 1;  // rows of one sample
  friend constexpr bool operator==(const NormedDims&, const NormedDims&) = default;
};

// y = in * w, raw; where no normalisation is behind it, act(in * w + bias).
struct NormedPointwiseCall {
  NormedDims dims;
  Normed in;
  const float* w;  // [c_out][c_in], w_row floats to the next output channel
  i64 w_row;
  float* y;
  NormOut out{};
  const float* bias = nullptr;  // [c_out] or null
  Act act = Act::none;
};

struct NormedPointwiseGradCall {
  NormedDims dims;
  Normed in;
  NormedGrad gy;
  const float* w;
  i64 w_row;
  float* gw;  // [c_out][c_in], overwritten; null: not wanted
  // [rows][c_in]: the gradient behind the activation of `in`, with `out` filled; of `in` itself when that is
  // taken as it is (plus residual, if any) or gated. Null: not wanted.
  float* gx;
  const float* residual = nullptr;
  NormGradOut out{};
};

struct NormedDepthwiseCall {
  DepthwiseDims dims;
  i64 out_h, out_w;
  Normed in;
  WeightView w;
  float* y;
  NormOut out;
};

struct NormedDepthwiseGradCall {
  DepthwiseDims dims;
  i64 out_h, out_w;
  Normed in;
  NormedGrad gy;
  WeightView w;
  float* gw;  // [c][kernel][kernel], overwritten
  float* gx;  // as above; may be gy.dz when the shapes agree; null: not wanted
  const float* residual = nullptr;
  NormGradOut out{};
};

// Per sample and channel. mean: y = mean over hw of `in` (its gate is not read). gate_grad: y = sum over hw
// of g * `in`.
struct NormedMeanCall {
  NormedDims dims;  // c_in channels
  Normed in;
  float* y;  // [rows / hw][c]
};
struct NormedGateGradCall {
  NormedDims dims;
  Normed in;
  const float* g;
  float* y;
};

// dz = (g * gate + shift_factor * shift) * act'; gate and shift [rows / hw][c], each may be null; dz null:
// only the sums.
struct NormedSlopeCall {
  NormedDims dims;
  Normed in;
  const float *g, *shift = nullptr;
  float shift_factor = 1;
  float* dz;  // may be g
  NormGradOut out;
};

// y = `in` + residual (may be null)
struct NormedAddCall {
  NormedDims dims;
  Normed in;
  const float* residual;
  float* y;
};

}  // namespace offramp::kernels
