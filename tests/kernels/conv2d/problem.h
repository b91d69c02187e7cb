// A convolution with its operands, for the tests of the family.
#pragma once
#include <cmath>
#include <string>
#include <vector>

#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/conv2d_ref.h"
#include "tests/support/fill.h"

namespace offramp::kernels {

inline std::string name_of(const Conv2dDims& d) {
  std::string s;
  for (i64 v : {d.n, d.h, d.w, d.c_in, d.c_out, d.kernel, d.stride, d.pad, d.groups})
    s += " " + std::to_string(v);
  return "n h w in out kernel stride pad groups:" + s;
}

inline i64 x_size(const Conv2dDims& d) { return d.n * d.h * d.w * d.c_in; }
inline i64 y_size(const Conv2dDims& d) { return d.n * conv2d_out(d).h * conv2d_out(d).w * d.c_out; }
inline i64 w_size(const Conv2dDims& d) { return d.c_out * d.kernel * d.kernel * (d.c_in / d.groups); }
inline i64 products_of_y(const Conv2dDims& d) { return d.kernel * d.kernel * (d.c_in / d.groups); }

// Weights are the centre crop and prefix of a larger kernel: `extra_kernel` (even) taps and `extra_in` input
// channels more than used. All operands are held in T.
template <class T>
struct Conv2dProblem {
  Conv2dDims d;
  i64 extra_kernel = 0, extra_in = 0;
  bool has_bias = false, has_residual = false;
  Act act = Act::none;
  std::vector<T> x, w, bias, residual, gy;

  i64 big_kernel() const { return d.kernel + extra_kernel; }
  i64 big_tap() const { return d.c_in / d.groups + extra_in; }

  template <class Fill>
  Conv2dProblem& fill(Fill&& fill) {
    x.resize(size_t(x_size(d)));
    w.resize(size_t(d.c_out * big_kernel() * big_kernel() * big_tap()));
    bias.resize(size_t(d.c_out));
    residual.resize(size_t(y_size(d)));
    gy.resize(size_t(y_size(d)));
    u64 seed = 1;
    for (auto* v : {&x, &w, &bias, &residual, &gy}) fill(std::span<T>(*v), seed++);
    return *this;
  }
  WeightViewT<T> view() const {
    const WeightViewT<T> big{w.data(), big_kernel() * big_kernel() * big_tap(), big_kernel() * big_tap(),
                             big_tap()};
    return crop_kernel(big, big_kernel(), d.kernel);
  }
  Conv2dCallT<T> call(T* y) const {
    return {.dims = d,
            .out_h = conv2d_out(d).h,
            .out_w = conv2d_out(d).w,
            .x = x.data(),
            .w = view(),
            .bias = has_bias ? bias.data() : nullptr,
            .residual = has_residual ? residual.data() : nullptr,
            .act = act,
            .y = y};
  }
  Conv2dGradCallT<T> grad_call(T* gx, T* gw) const {
    return {.dims = d,
            .out_h = conv2d_out(d).h,
            .out_w = conv2d_out(d).w,
            .x = x.data(),
            .w = view(),
            .gy = gy.data(),
            .gx = gx,
            .gw = gw};
  }
  // The same problem in double; with `magnitudes`, of absolute values and without activation.
  Conv2dProblem<double> widened(bool magnitudes = false) const {
    const auto widen = [&](const std::vector<T>& v) {
      std::vector<double> out(v.begin(), v.end());
      if (magnitudes)
        for (double& value : out) value = std::fabs(value);
      return out;
    };
    return {d,        extra_kernel, extra_in,    has_bias,        has_residual, magnitudes ? Act::none : act,
            widen(x), widen(w),     widen(bias), widen(residual), widen(gy)};
  }
  std::vector<T> reference() const {
    std::vector<T> y(size_t(y_size(d)));
    conv2d_ref(call(y.data()));
    return y;
  }
  std::vector<T> reference_gx() const {
    std::vector<T> gx(size_t(x_size(d)));
    conv2d_grad_ref(grad_call(gx.data(), nullptr));
    return gx;
  }
  std::vector<T> reference_gw() const {
    std::vector<T> gw(size_t(w_size(d)));
    conv2d_grad_ref(grad_call(nullptr, gw.data()));
    return gw;
  }
};

// Kernels, strides, pads and groups crossed with image and channel sizes around tile and vector.
inline std::vector<Conv2dDims> conv2d_shapes() {
  std::vector<Conv2dDims> shapes;
  const auto add = [&](const Conv2dDims& d) {
    if (d.h + 2 * d.pad >= d.kernel && d.w + 2 * d.pad >= d.kernel) shapes.push_back(d);
  };
  for (i64 kernel : {1, 2, 3, 5, 7})
    for (i64 stride : {1, 2, 3})
      for (i64 pad : {i64{0}, i64{1}, kernel / 2, kernel})
        for (const Extent& image : {Extent{1, 1}, Extent{2, 5}, Extent{7, 4}, Extent{9, 11}})
          for (const Extent& channels : {Extent{1, 7}, Extent{3, 17}, Extent{8, 9}})
            add({2, image.h, image.w, channels.h, channels.w, kernel, stride, pad, 1});
  for (i64 groups : {2, 3, 12})
    for (i64 kernel : {1, 3})
      for (i64 stride : {1, 2}) add({3, 6, 7, 12, 24, kernel, stride, kernel / 2, groups});
  for (i64 c : {1, 7, 8, 9, 15, 16, 17, 24, 31, 33, 47, 48, 49, 51, 97}) {
    add({1, 5, 5, c, 5, 3, 1, 1, 1});
    add({1, 5, 5, 5, c, 3, 1, 1, 1});
    add({2, 4, 3, c, c, 1, 1, 0, 1});
  }
  add({40, 3, 3, 4, 6, 3, 1, 1, 1});   // several images a unit
  add({300, 1, 1, 4, 6, 3, 2, 1, 1});  // and several units
  add({2, 30, 31, 3, 8, 3, 2, 1, 1});  // several units an image
  add({1, 2, 600, 2, 3, 3, 1, 1, 1});  // rows longer than a unit
  add({1, 3, 530, 2, 3, 1, 1, 0, 1});
  add({1, 40, 40, 3, 4, 3, 1, 0, 1});    // as it lies
  add({4, 20, 20, 64, 20, 3, 1, 1, 1});  // units limited by floats
  return shapes;
}

}  // namespace offramp::kernels
