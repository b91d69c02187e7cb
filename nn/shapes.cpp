#include "nn/shapes.h"

#include <set>
#include <string>

#include "kernels/error.h"

namespace offramp::nn {
namespace {

using Kind = LayerSpec::Kind;

std::string text(const FeatureShape& s) {
  const std::string c = std::to_string(s.c);
  return s.flat ? "[n," + c + "]" : "[n," + std::to_string(s.h) + "," + std::to_string(s.w) + "," + c + "]";
}

[[noreturn]] void refuse(const LayerSpec& layer, const std::string& wanted, const std::string& got) {
  throw input_error("layer '" + layer.name + "': " + wanted + " wanted, got " + got);
}

void require_at_least(const LayerSpec& layer, const char* what, i64 value, i64 least) {
  constexpr i64 kLargest = 1 << 20;
  if (value < least || value > kLargest)
    refuse(layer, std::string(what) + " from " + std::to_string(least) + " to " + std::to_string(kLargest),
           std::to_string(value));
}

// The map behind a window of layer.kernel.
FeatureShape behind_window(const LayerSpec& layer, const FeatureShape& in, i64 stride, i64 c) {
  require_at_least(layer, "kernel", layer.kernel, 1);
  require_at_least(layer, "stride", stride, 1);
  require_at_least(layer, "pad", layer.pad, 0);
  if (in.h + 2 * layer.pad < layer.kernel || in.w + 2 * layer.pad < layer.kernel)
    refuse(layer, "a padded input of at least " + std::to_string(layer.kernel) + " pixels a side",
           text(in) + " with pad " + std::to_string(layer.pad));
  return {(in.h + 2 * layer.pad - layer.kernel) / stride + 1,
          (in.w + 2 * layer.pad - layer.kernel) / stride + 1, c};
}

FeatureShape conv_output(const LayerSpec& layer, const FeatureShape& in) {
  require_at_least(layer, "output channels", layer.c_out, 1);
  require_at_least(layer, "groups", layer.groups, 1);
  if (in.c % layer.groups || layer.c_out % layer.groups)
    refuse(
        layer, "groups that divide both channel counts",
        std::to_string(layer.groups) + " for " + std::to_string(in.c) + " -> " + std::to_string(layer.c_out));
  return behind_window(layer, in, layer.stride, layer.c_out);
}

FeatureShape mbconv_output(const LayerSpec& layer, const FeatureShape& in) {
  require_at_least(layer, "output channels", layer.c_out, 1);
  require_at_least(layer, "expanded channels", layer.mid, 1);
  require_at_least(layer, "squeeze-excite channels", layer.se, 0);
  const FeatureShape out = behind_window(layer, in, layer.stride, layer.c_out);
  if (layer.stride == 1 && in.c == layer.c_out && out != in)
    refuse(layer, "pad = kernel/2 and an odd kernel, because input and output are added",
           "kernel " + std::to_string(layer.kernel) + ", pad " + std::to_string(layer.pad));
  return out;
}

// `behind` empty: the chain has no layer; otherwise its last layer.
FeatureShape chain_output(const std::string& where, const std::vector<LayerSpec>& layers, FeatureShape shape,
                          std::set<std::string>& names) {
  for (const LayerSpec& layer : layers) {
    if (layer.name.empty()) throw input_error(where + ": a layer without a name");
    if (!names.insert(layer.name).second)
      throw input_error(where + ": layer name '" + layer.name + "' is used twice");
    shape = layer_output(layer, shape);
  }
  return shape;
}

}  // namespace

FeatureShape layer_output(const LayerSpec& layer, const FeatureShape& in) {
  if (in.flat && layer.kind != Kind::linear)
    refuse(layer, "a map [n,h,w,c]", text(in) + " (behind a linear layer)");
  switch (layer.kind) {
    case Kind::conv:
      return conv_output(layer, in);
    case Kind::mbconv:
      return mbconv_output(layer, in);
    case Kind::max_pool:
    case Kind::avg_pool:
      if (layer.pad > layer.kernel / 2)
        refuse(layer, "pad <= kernel/2",
               "kernel " + std::to_string(layer.kernel) + ", pad " + std::to_string(layer.pad));
      return behind_window(layer, in, layer.stride, in.c);
    case Kind::activation:
      return in;
    case Kind::global_avg_pool:
      return {1, 1, in.c};
    case Kind::resize:
      require_at_least(layer, "output height", layer.out_h, 1);
      require_at_least(layer, "output width", layer.out_w, 1);
      return {layer.out_h, layer.out_w, in.c};
    case Kind::linear:
      require_at_least(layer, "outputs", layer.c_out, 1);
      return {1, 1, layer.c_out, true};
  }
  refuse(layer, "a known kind", std::to_string(int(layer.kind)));
}

std::vector<FeatureShape> require_architecture(const Architecture& a) {
  if (a.height < 1 || a.width < 1 || a.channels < 1 || a.classes < 1)
    throw input_error("architecture: height, width, channels and classes of at least 1 wanted, got " +
                      std::to_string(a.height) + ", " + std::to_string(a.width) + ", " +
                      std::to_string(a.channels) + ", " + std::to_string(a.classes));
  if (a.stages.empty()) throw input_error("architecture: at least one stage wanted, got none");
  if (a.stages.back().head.empty())
    throw input_error("architecture: stage '" + a.stages.back().name + "' is the last and has no head");
  std::vector<FeatureShape> behind_bodies;
  std::set<std::string> names, stage_names;
  FeatureShape shape{a.height, a.width, a.channels};
  for (std::size_t s = 0; s < a.stages.size(); ++s) {
    const StageSpec& stage = a.stages[s];
    const std::string where = "stage '" + stage.name + "'";
    if (!stage_names.insert(stage.name).second)
      throw input_error("architecture: " + where + " is there twice");
    shape = chain_output(where, stage.body, shape, names);
    behind_bodies.push_back(shape);
    if (stage.head.empty()) continue;
    const FeatureShape out = chain_output(where, stage.head, shape, names);
    if (stage.head.back().kind != Kind::linear || out.c != a.outputs(s))
      throw input_error(where + ": a head that ends in a linear layer with " + std::to_string(a.outputs(s)) +
                        " outputs wanted, got '" + stage.head.back().name + "' giving " + text(out));
  }
  return behind_bodies;
}

}  // namespace offramp::nn
