// What every layer of a network is.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "autograd/variable.h"
#include "nn/architecture.h"
#include "nn/parameters.h"
#include "nn/shapes.h"

namespace offramp::nn {

// train: batch statistics, running statistics follow with momentum, gradients flow to the parameters.
// evaluate: running statistics; no gradients of parameters (a gradient of the input still flows).
// recalibrate: batch statistics; the running statistics become the plain average over the batches seen since
// reset_statistics(); no gradients of parameters.
enum class Mode { train, evaluate, recalibrate };

struct NetworkOptions {
  double eps = 1e-5;      // of batch norm
  double momentum = 0.1;  // of the running statistics
};

struct NamedParameter {
  std::string name;
  Variable variable;
};
struct NamedBuffer {
  std::string name;
  Tensor tensor;
};

// Collects what a network is built from; checks the shapes that the source returns.
class Registry {
 public:
  Registry(ParameterSource& source, const NetworkOptions& options) : options(options), source_(source) {}
  Variable parameter(const std::string& name, const Shape& shape, const Init& init);
  Tensor buffer(const std::string& name, const Shape& shape, double fill);

  const NetworkOptions options;
  std::vector<NamedParameter> parameters;
  std::vector<NamedBuffer> buffers;

 private:
  ParameterSource& source_;
};

class Layer {
 public:
  virtual ~Layer() = default;
  virtual Variable forward(Exec& exec, const Variable& x, Mode mode) = 0;
  virtual void reset_statistics() {}
};

std::unique_ptr<Layer> make_layer(const LayerSpec& spec, const FeatureShape& in, Registry& registry);

// The parameter as this mode uses it: with its gradient, or as a constant.
inline Variable in_mode(const Variable& parameter, Mode mode) {
  return mode == Mode::train || !parameter.defined() ? parameter : parameter.detach();
}

}  // namespace offramp::nn
