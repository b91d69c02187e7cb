// Where the weights of a network come from: fresh ones, none at all, a file, or a view of a supernet's.
#pragma once
#include <map>
#include <string>

#include "autograd/variable.h"
#include "kernels/rng.h"

namespace offramp::nn {

// How a fresh parameter starts.
struct Init {
  enum class Kind { he_normal, uniform, ones, zeros };
  Kind kind = Kind::zeros;
  i64 fan = 1;
  // Normal, deviation sqrt(2 / fan_out). Source: He et al. 2015.
  static Init he_normal(i64 fan_out) { return {Kind::he_normal, fan_out}; }
  // Uniform in +-1/sqrt(fan_in).
  static Init uniform(i64 fan_in) { return {Kind::uniform, fan_in}; }
  static Init ones() { return {Kind::ones, 1}; }
  static Init zeros() { return {Kind::zeros, 1}; }
};

// Asked once for every parameter and buffer while a network is built. Names are unique within a network. A
// returned parameter need not be a leaf nor contiguous (it may be a view of something larger); it must have
// the shape asked for.
class ParameterSource {
 public:
  virtual ~ParameterSource() = default;
  virtual Variable parameter(const std::string& name, const Shape& shape, const Init& init) = 0;
  // State that is not differentiated (running statistics), updated in place by the network.
  virtual Tensor buffer(const std::string& name, const Shape& shape, double fill) = 0;
};

// New leaves. Values depend on (rng, name) alone, not on the order of the calls.
class FreshParameters : public ParameterSource {
 public:
  explicit FreshParameters(Rng rng, DType dtype = DType::f32) : rng_(rng), dtype_(dtype) {}
  Variable parameter(const std::string& name, const Shape& shape, const Init& init) override;
  Tensor buffer(const std::string& name, const Shape& shape, double fill) override;

 private:
  Rng rng_;
  DType dtype_;
};

// Another source's, copied into the memory of a device; its parameters become leaves.
class ParametersOn : public ParameterSource {
 public:
  ParametersOn(Device device, ParameterSource& source) : device_(device), source_(source) {}
  Variable parameter(const std::string& name, const Shape& shape, const Init& init) override {
    const Variable from = source_.parameter(name, shape, init);
    return Variable(from.value().to(device_), from.requires_grad());
  }
  Tensor buffer(const std::string& name, const Shape& shape, double fill) override {
    return source_.buffer(name, shape, fill).to(device_);
  }

 private:
  Device device_;
  ParameterSource& source_;
};

// No memory behind any of them: for recording with a dry recorder.
class MetaParameters : public ParameterSource {
 public:
  explicit MetaParameters(DType dtype = DType::f32) : dtype_(dtype) {}
  Variable parameter(const std::string& name, const Shape& shape, const Init& init) override;
  Tensor buffer(const std::string& name, const Shape& shape, double fill) override;

 private:
  DType dtype_;
};

// Leaves over existing tensors (not copied), found by name. Throws Error(input) when one is missing or
// misshapen.
class LoadedParameters : public ParameterSource {
 public:
  explicit LoadedParameters(std::map<std::string, Tensor> tensors) : tensors_(std::move(tensors)) {}
  Variable parameter(const std::string& name, const Shape& shape, const Init& init) override;
  Tensor buffer(const std::string& name, const Shape& shape, double fill) override;

 private:
  Tensor find(const std::string& name, const Shape& shape) const;
  std::map<std::string, Tensor> tensors_;
};

// Draws the start values of one parameter, for sources of one's own.
void initialise(Tensor& values, const Init& init, Rng rng);
// The stream of a name below `rng`.
Rng rng_for(const Rng& rng, const std::string& name);

}  // namespace offramp::nn
