// Plain structs of batch normalisation over the last axis, with the activation behind it fused.
#pragma once
#include "kernels/types.h"

namespace offramp::kernels {

struct NormDims {
  i64 rows, c;  // rows = n * h * w
  friend constexpr bool operator==(const NormDims&, const NormDims&) = default;
};

// y = act((x - mean) / sqrt(var + eps) * gamma + beta), with given statistics.
template <class T>
struct NormCallT {
  NormDims dims;
  const T* x;                               // [rows,c]
  const T *mean, *var, *gamma, *beta;       // [c]
  T eps;
  Act act = Act::none;
  T* y;                                     // [rows,c], overwritten
};
using NormCall = NormCallT<float>;

// The same with the statistics of this batch, which it returns: mean and biased variance.
template <class T>
struct NormTrainCallT {
  NormDims dims;
  const T* x;
  const T *gamma, *beta;
  T eps;
  Act act = Act::none;
  T *mean, *var;  // [c], overwritten
  T* y;
};
using NormTrainCall = NormTrainCallT<float>;

// Gradients through activation and normalisation. batch_statistics: mean and var came from x (training), so their
// gradient is included; otherwise they are constants. All outputs are overwritten; null = not wanted.
template <class T>
struct NormGradCallT {
  NormDims dims;
  const T *x, *gy;                     // [rows,c]
  const T *mean, *var, *gamma, *beta;  // [c]
  T eps;
  Act act = Act::none;
  bool batch_statistics = true;
  T* gx = nullptr;                     // [rows,c]
  T *ggamma = nullptr, *gbeta = nullptr;
};
using NormGradCall = NormGradCallT<float>;

}  // namespace offramp::kernels
