// Plain structs of the kernels between two normalisations of a training step. Inside a block, only the raw
// results of the convolutions are stored: who needs a normalised, activated tensor forms it again from the
// raw one while a tile is in cache, and who needs the gradient of a raw result forms it from the gradient
// behind the activation.
#pragma once
#include "kernels/bf16.h"
#include "kernels/conv2d/conv2d_call.h"
#include "kernels/depthwise/depthwise_call.h"
#include "kernels/norm/norm_call.h"
#include "kernels/types.h"

namespace offramp::kernels {

// A tensor [rows][c] to be read as act((x - mean) * scale + beta) * gate[row / hw]; mean null: as it is.
template <class T>
struct NormedT {
  const T* x;
  const ParamOf<T>*mean = nullptr, *scale = nullptr, *beta = nullptr;  // [c]
  Act act = Act::none;
  const T* gate = nullptr;  // [rows / hw][c] or null
};
using Normed = NormedT<float>;

// The gradient of a raw result y, to be read as (scale * dz - of_mean) - (y - mean) * of_var; y null: dz
// itself.
template <class T>
struct NormedGradT {
  const T *dz, *y = nullptr;                                                                 // [rows][c]
  const ParamOf<T>*mean = nullptr, *scale = nullptr, *of_mean = nullptr, *of_var = nullptr;  // [c]
};
using NormedGrad = NormedGradT<float>;

// The same of a unit whose result act((y - mean) * scale + beta) is stored: dz holds the gradient of that
// result, and is formed too, times act'. y is never null.
template <class T>
struct SlopedGradT : NormedGradT<T> {
  const ParamOf<T>* beta = nullptr;
  Act act = Act::none;
};

// The normalisation behind a convolution: from gamma and the batch come mean, biased variance and
// scale = gamma / sqrt(var + eps). gamma null: none is behind it.
struct NormOut {
  const float* gamma = nullptr;
  float eps = 0;
  float *mean = nullptr, *var = nullptr, *scale = nullptr;
  RunningT<float> running{};  // written on the card; the host's caller updates them itself
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
template <class T>
struct NormedPointwiseCallT {
  NormedDims dims;
  NormedT<T> in;
  const ParamOf<T>* w;  // [c_out][c_in], w_row floats to the next output channel
  i64 w_row;
  T* y;
  NormOut out{};
  const ParamOf<T>* bias = nullptr;  // [c_out] or null
  Act act = Act::none;
};
using NormedPointwiseCall = NormedPointwiseCallT<float>;

template <class T>
struct NormedPointwiseGradCallT {
  NormedDims dims;
  NormedT<T> in;
  NormedGradT<T> gy;
  const ParamOf<T>* w;
  i64 w_row;
  ParamOf<T>* gw;  // [c_out][c_in], overwritten; null: not wanted
  // [rows][c_in]: the gradient behind the activation of `in`, with `out` filled; of `in` itself when that is
  // taken as it is (plus residual, if any) or gated. Null: not wanted.
  T* gx;
  const T* residual = nullptr;
  NormGradOut out{};
};
using NormedPointwiseGradCall = NormedPointwiseGradCallT<float>;

template <class T>
struct NormedDepthwiseCallT {
  DepthwiseDims dims;
  i64 out_h, out_w;
  NormedT<T> in;
  WeightViewT<ParamOf<T>> w;
  T* y;
  NormOut out;
};
using NormedDepthwiseCall = NormedDepthwiseCallT<float>;

template <class T>
struct NormedDepthwiseGradCallT {
  DepthwiseDims dims;
  i64 out_h, out_w;
  NormedT<T> in;
  NormedGradT<T> gy;
  WeightViewT<ParamOf<T>> w;
  ParamOf<T>* gw;  // [c][kernel][kernel], overwritten
  T* gx;           // as above; may be gy.dz when the shapes agree; null: not wanted
  const T* residual = nullptr;
  NormGradOut out{};
};
using NormedDepthwiseGradCall = NormedDepthwiseGradCallT<float>;

// A dense convolution of a tensor as it is, with a normalisation behind it: y raw. On the card only.
template <class T>
struct NormedConv2dCallT {
  Conv2dDims dims;  // groups 1
  i64 out_h, out_w;
  const T* x;
  WeightViewT<ParamOf<T>> w;
  T* y;
  NormOut out;
};

template <class T>
struct NormedConv2dGradCallT {
  Conv2dDims dims;
  i64 out_h, out_w;
  const T* x;  // needed for gw
  SlopedGradT<T> gy;
  WeightViewT<ParamOf<T>> w;  // needed for gx
  ParamOf<T>* gw = nullptr;   // dense [c_out][kernel][kernel][c_in], overwritten; null: not wanted
  T* gx = nullptr;            // not gy.dz; null: not wanted
};

// Squeeze-excite: mean = mean of `in` over a sample's hw rows (its gate is not read), hidden = relu(reduce
// mean
// + reduce_bias), raw = gate hidden + gate_bias, value = hard_sigmoid(raw).
template <class T>
struct NormedSqueezeCallT {
  NormedDims dims;  // c_in channels
  i64 reduced;      // channels of hidden
  NormedT<T> in;
  const ParamOf<T>*reduce, *reduce_bias, *gate, *gate_bias;  // [reduced][c], [reduced], [c][reduced], [c]
  i64 reduce_row, gate_row;                                  // to the next row of a weight
  T *mean, *hidden, *raw, *value;                            // [rows / hw][c], hidden [rows / hw][reduced]
};
using NormedSqueezeCall = NormedSqueezeCallT<float>;
// From g, the gradient of `in` * value, to the gradients of raw, of what relu made hidden of, and of mean.
// Those of the weights are products of these with what was stored.
template <class T>
struct NormedSqueezeGradCallT {
  NormedDims dims;
  i64 reduced;
  NormedT<T> in;
  const T* g;  // [rows][c]
  const ParamOf<T>*reduce, *gate;
  i64 reduce_row, gate_row;
  const T *hidden, *raw;
  T *of_raw, *of_hidden, *of_mean;
};
using NormedSqueezeGradCall = NormedSqueezeGradCallT<float>;

// dz = (g * gate + shift_factor * shift) * act'; gate and shift [rows / hw][c], each may be null; dz null:
// only the sums.
template <class T>
struct NormedSlopeCallT {
  NormedDims dims;
  NormedT<T> in;
  const T *g, *shift = nullptr;
  float shift_factor = 1;
  T* dz;  // may be g
  NormGradOut out;
};
using NormedSlopeCall = NormedSlopeCallT<float>;

// y = `in` + residual (may be null)
template <class T>
struct NormedAddCallT {
  NormedDims dims;
  NormedT<T> in;
  const T* residual;
  T* y;
};
using NormedAddCall = NormedAddCallT<float>;

}  // namespace offramp::kernels
