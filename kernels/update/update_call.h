// Plain structs of parameter updates, in place over one parameter tensor of `count` values.
#pragma once
#include "kernels/types.h"

namespace offramp::kernels {

// g' = scale*g + weight_decay*p; v = momentum*v + g'; p -= lr * (nesterov ? g' + momentum*v : v).
// Source: Sutskever et al. 2013 in the form PyTorch documents (dampening 0).
template <class T>
struct SgdCallT {
  i64 count;
  T lr, momentum, weight_decay, grad_scale;
  bool nesterov;
  const T* g;
  T *v, *p;
};
using SgdCall = SgdCallT<float>;

// Decoupled weight decay: p -= lr*weight_decay*p; m, v moments; p -= lr * mhat / (sqrt(vhat) + eps).
// bias1 = 1 - beta1^t, bias2 = 1 - beta2^t. Source: Loshchilov & Hutter 2019, algorithm 2.
template <class T>
struct AdamWCallT {
  i64 count;
  T lr, beta1, beta2, eps, weight_decay, bias1, bias2, grad_scale;
  const T* g;
  T *m, *v, *p;
};
using AdamWCall = AdamWCallT<float>;

// average = decay * average + (1 - decay) * p
template <class T>
struct EmaCallT {
  i64 count;
  T decay;
  const T* p;
  T* average;
};
using EmaCall = EmaCallT<float>;

}  // namespace offramp::kernels
