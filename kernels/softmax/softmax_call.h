// Plain structs of softmax over the last axis and of the losses built on it.
#pragma once
#include "kernels/bf16.h"
#include "kernels/types.h"

namespace offramp::kernels {

struct SoftmaxDims {
  i64 rows, classes;
  bool log = false;  // log_softmax instead
  friend constexpr bool operator==(const SoftmaxDims&, const SoftmaxDims&) = default;
};

template <class T>
struct SoftmaxCallT {
  SoftmaxDims dims;
  const T* x;  // [rows,classes]
  T* y;        // overwritten
};
using SoftmaxCall = SoftmaxCallT<float>;

template <class T>
struct SoftmaxGradCallT {
  SoftmaxDims dims;
  const T* y;  // the forward result
  const T* gy;
  T* gx;  // overwritten
};
using SoftmaxGradCall = SoftmaxGradCallT<float>;

// loss = mean over rows of -sum_j q_j log softmax(x)_j, q = (1 - s) onehot(target) + s / classes.
template <class T>
struct CrossEntropyCallT {
  i64 rows, classes;
  ParamOf<T> label_smoothing = 0;
  const T* x;               // logits [rows,classes]
  const i64* target;        // [rows], each in [0,classes)
  ParamOf<T>* loss;         // one value, overwritten; null = not wanted
  ParamOf<T> upstream = 1;  // gradient of the scalar loss, multiplies gx
  T* gx = nullptr;          // [rows,classes], overwritten; null = not wanted
};
using CrossEntropyCall = CrossEntropyCallT<float>;

// loss = T^2 * mean over rows of KL(softmax(teacher/T) || softmax(x/T)); gradient with respect to x only.
template <class T>
struct KlDivCallT {
  i64 rows, classes;
  ParamOf<T> temperature = 1;
  const T *x, *teacher;  // logits [rows,classes]
  ParamOf<T>* loss;
  ParamOf<T> upstream = 1;
  T* gx = nullptr;
};
using KlDivCall = KlDivCallT<float>;

}  // namespace offramp::kernels
