#include "nn/layers/layer.h"

#include "kernels/error.h"
#include "nn/layers/activation.h"
#include "nn/layers/conv_unit.h"
#include "nn/layers/linear.h"
#include "nn/layers/mbconv.h"
#include "nn/layers/pool.h"
#include "nn/layers/resize.h"

namespace offramp::nn {

Variable Registry::parameter(const std::string& name, const Shape& shape, const Init& init) {
  Variable v = source_.parameter(name, shape, init);
  if (!v.defined() || v.shape() != shape)
    throw input_error("parameter '" + name + "': " + shape.str() + " wanted, got " +
                      (v.defined() ? v.shape().str() : "nothing"));
  parameters.push_back({name, v});
  return v;
}

Tensor Registry::buffer(const std::string& name, const Shape& shape, double fill) {
  Tensor t = source_.buffer(name, shape, fill);
  if (!t.defined() || t.shape() != shape)
    throw input_error("buffer '" + name + "': " + shape.str() + " wanted, got " +
                      (t.defined() ? t.shape().str() : "nothing"));
  buffers.push_back({name, t});
  return t;
}

std::unique_ptr<Layer> make_layer(const LayerSpec& spec, const FeatureShape& in, Registry& registry) {
  using Kind = LayerSpec::Kind;
  switch (spec.kind) {
    case Kind::conv:
      return std::make_unique<ConvUnit>(ConvUnitSpec{.name = spec.name,
                                                     .c_in = in.c,
                                                     .c_out = spec.c_out,
                                                     .kernel = spec.kernel,
                                                     .stride = spec.stride,
                                                     .pad = spec.pad,
                                                     .groups = spec.groups,
                                                     .norm = spec.norm,
                                                     .bias = spec.bias,
                                                     .act = spec.act},
                                        registry);
    case Kind::mbconv:
      return std::make_unique<MBConv>(spec, in.c, registry);
    case Kind::max_pool:
    case Kind::avg_pool:
      return std::make_unique<Pool>(spec);
    case Kind::global_avg_pool:
      return std::make_unique<GlobalAvgPool>();
    case Kind::activation:
      return std::make_unique<Activation>(spec);
    case Kind::resize:
      return std::make_unique<Resize>(spec);
    case Kind::linear:
      return std::make_unique<Linear>(spec, in.h * in.w * in.c, registry);
  }
  throw input_error("layer '" + spec.name + "': unknown kind");
}

}  // namespace offramp::nn
