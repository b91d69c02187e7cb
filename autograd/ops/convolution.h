// What the operations on convolutions share. Not for use outside this folder.
#pragma once
#include "autograd/ops/common.h"
#include "autograd/ops/conv_unit.h"
#include "kernels/normed/normed.h"

namespace offramp::ops {

// Throws when the shapes do not fit; bias may be undefined.
kernels::Conv2dDims require_conv2d_dims(const char* op, const Tensor& x, const Tensor& w, const Tensor& bias,
                                        const Conv2dOptions& options);

// A view of the weight when its last axis is contiguous, else of a dense copy.
inline Tensor viewable(const Tensor& w) { return w.extent(3) == 1 || w.strides()[3] == 1 ? w : packed(w); }

template <class T>
kernels::WeightViewT<ParamOf<T>> view_of(const Tensor& w) {
  return {w.data<ParamOf<T>>(), w.strides()[0], w.strides()[1], w.strides()[2]};
}

// One convolution: its weight, its raw result y and the normalisation behind it.
struct Unit {
  Tensor w, gamma, beta, y, mean, var, scale;
  Running running;

  Unit() = default;
  // Throws unless gamma and beta have a value for each output channel of `weight`, which need not be defined.
  Unit(const char* op, const NormedWeight& parameters);

  bool defined() const { return w.defined(); }
  i64 c() const { return w.extent(0); }
  void make_room(const Shape& of_y, DType dtype, Device device);
  // On the card, the kernel that takes the statistics lets the running ones follow.
  kernels::NormOut out(const Exec& exec, float eps);
  // What the next one reads.
  template <class T>
  kernels::NormedT<T> read(Act act, const Tensor& gate = {}) const {
    return {y.data<T>(), mean.data<float>(),   scale.data<float>(), beta.data<float>(),
            act,         data_or_null<T>(gate)};
  }
};

// The gradients of one unit, and those vectors that its own gradient is formed with.
struct UnitGrad {
  Tensor w, gamma, beta, of_mean, of_var;

  explicit UnitGrad(const Unit& u);
  kernels::NormGradOut out(const Unit& u, float eps);
  template <class T>
  kernels::NormedGradT<T> read(const Unit& u, const Tensor& dz) const {
    return {dz.data<T>(),          u.y.data<T>(),         u.mean.data<float>(),
            u.scale.data<float>(), of_mean.data<float>(), of_var.data<float>()};
  }
  // Of the weight, gamma and beta, which are the inputs from `at` on.
  void hand_over(Backward& back, size_t at);
};

}  // namespace offramp::ops
