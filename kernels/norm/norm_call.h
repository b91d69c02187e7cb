// Plain structs of batch normalisation over the last axis, with the activation behind it fused.
#pragma once
#include "kernels/bf16.h"
#include "kernels/types.h"

namespace offramp::kernels {

struct NormDims {
  i64 rows, c;  // rows = n * h * w
  friend constexpr bool operator==(const NormDims &, const NormDims &) = default;
};

// Running statistics that follow a batch's: r += weight * (batch - r), where weight 1 replaces whatever was
// there; the variance enters unbiased. mean null: none.
template <class T>
struct RunningT {
  T *mean = nullptr, *var = nullptr;
  T weight = 0;
};

// y = act((x - mean) / sqrt(var + eps) * gamma + beta), with given statistics.
template <class T>
struct NormCallT {
  NormDims dims;
  const T *x;                                   // [rows,c]
  const ParamOf<T> *mean, *var, *gamma, *beta;  // [c]
  ParamOf<T> eps;
  Act act = Act::none;
  T *y;  // [rows,c], overwritten
};
using NormCall = NormCallT<float>;

// The same with the statistics of this batch, which it returns: mean and biased variance.
template <class T>
struct NormTrainCallT {
  NormDims dims;
  const T *x;
  const ParamOf<T> *gamma, *beta;
  ParamOf<T> eps;
  Act act = Act::none;
  ParamOf<T> *mean, *var;  // [c], overwritten
  T *y;
  RunningT<ParamOf<T>> running{};  // written on the card; the host's caller updates them itself
};
using NormTrainCall = NormTrainCallT<float>;

// Gradients through activation and normalisation. batch_statistics: mean and var came from x (training), so
// their gradient is included; otherwise they are constants. All outputs are overwritten; null = not wanted.
template <class T>
struct NormGradCallT {
  NormDims dims;
  const T *x, *gy;                              // [rows,c]
  const ParamOf<T> *mean, *var, *gamma, *beta;  // [c]
  ParamOf<T> eps;
  Act act = Act::none;
  bool batch_statistics = true;
  T *gx = nullptr;  // [rows,c]
  ParamOf<T> *ggamma = nullptr, *gbeta = nullptr;
};
using NormGradCall = NormGradCallT<float>;

}  // namespace offramp::kernels
