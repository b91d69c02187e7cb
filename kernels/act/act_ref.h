// Scalar activations and their slopes: the reference of the family, and the epilogue of other references.
#pragma once
#include <cmath>

#include "kernels/act/act_call.h"

namespace offramp::kernels {

template <class T>
T apply_act(Act act, T x) {
  using std::exp;
  const T zero(0), three(3), six(6);
  const auto relu6 = [&](T v) { return v < zero ? zero : v > six ? six : v; };
  switch (act) {
    case Act::none:
      return x;
    case Act::relu:
      return x < zero ? zero : x;
    case Act::relu6:
      return relu6(x);
    case Act::hard_swish:
      return x * (relu6(x + three) / six);
    case Act::hard_sigmoid:
      return relu6(x + three) / six;
    case Act::sigmoid:
      return T(1) / (T(1) + exp(zero - x));
  }
  return x;
}

// Derivative at x; at a kink (0, 6, -3, 3) that of the outer side.
template <class T>
T act_slope(Act act, T x) {
  const T zero(0), one(1), three(3), six(6), minus_three(-3);
  switch (act) {
    case Act::none:
      return one;
    case Act::relu:
      return x > zero ? one : zero;
    case Act::relu6:
      return x > zero && x < six ? one : zero;
    case Act::hard_swish:
      if (!(x > minus_three)) return zero;
      return x < three ? (x + x + three) / six : one;
    case Act::hard_sigmoid:
      return x > minus_three && x < three ? one / six : zero;
    case Act::sigmoid: {
      const T s = apply_act(Act::sigmoid, x);
      return s * (one - s);
    }
  }
  return one;
}

template <class T>
void act_reference(const ActCallT<T>& call, i64 begin, i64 end) {
  for (i64 i = begin; i < end; ++i) call.y[i] = apply_act(call.dims.act, call.x[i]);
}

template <class T>
void act_grad_reference(const ActGradCallT<T>& call, i64 begin, i64 end) {
  for (i64 i = begin; i < end; ++i) call.gx[i] = call.gy[i] * act_slope(call.dims.act, call.x[i]);
}

}  // namespace offramp::kernels
