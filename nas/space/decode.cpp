// From a genotype to the plain network.
#include <algorithm>

#include "kernels/error.h"
#include "nas/space/shrink.h"
#include "nas/space/space.h"
#include "nas/space/walk.h"

namespace offramp::nas {
namespace {

using nn::LayerSpec;
using Kind = nn::LayerSpec::Kind;

// No space file can make a network larger than this: 1 GiB of float32 weights, 256 MiB in one activation.
constexpr i64 kMaxParameters = i64{1} << 28;
constexpr i64 kMaxElements = i64{1} << 26;
constexpr i64 kMaxSide = 4096, kMaxChannels = 1024, kMaxClasses = 1 << 20;

// OFA's channel rounding: to the nearest multiple of 8, at least 8, and up if the loss exceeds a tenth.
i64 round8(i64 v) {
  i64 r = std::max<i64>(8, (v + 4) / 8 * 8);
  if (10 * r < 9 * v) r += 8;
  return r;
}

// Appends layers and keeps the extent of what comes out of them.
class Chain {
 public:
  Chain(i64 h, i64 w, i64 c) : h_(h), w_(w), c_(c) {}
  void into(std::vector<LayerSpec>& layers) { layers_ = &layers; }
  i64 channels() const { return c_; }

  void conv(const std::string& name, i64 c_out, i64 kernel, i64 stride, i64 pad, i64 groups, bool norm,
            bool bias, Act act) {
    LayerSpec layer{.kind = Kind::conv,
                    .name = name,
                    .c_out = c_out,
                    .kernel = kernel,
                    .stride = stride,
                    .pad = pad,
                    .groups = groups,
                    .norm = norm,
                    .bias = bias,
                    .act = act};
    const i64 fan_in = c_ / groups * kernel * kernel;
    add(layer, (h_ + 2 * pad - kernel) / stride + 1, (w_ + 2 * pad - kernel) / stride + 1, c_out, c_out,
        c_out * (fan_in + (norm ? 2 : 0) + (bias ? 1 : 0)), h_ + 2 * pad >= kernel && w_ + 2 * pad >= kernel);
  }
  void mbconv(const std::string& name, i64 c_out, i64 kernel, i64 expand, i64 stride, Act act, bool se) {
    const i64 mid = expand == 1 ? c_ : round8(expand * c_);
    LayerSpec layer{.kind = Kind::mbconv,
                    .name = name,
                    .c_out = c_out,
                    .kernel = kernel,
                    .stride = stride,
                    .pad = kernel / 2,
                    .act = act,
                    .mid = mid,
                    .se = se ? round8(mid / 4) : 0};
    const i64 parameters = (mid != c_ ? mid * (c_ + 2) : 0) + mid * (kernel * kernel + 2) +
                           (layer.se ? layer.se * (2 * mid + 1) + mid : 0) + c_out * (mid + 2);
    require_extent(name, h_, w_, mid);
    add(layer, (h_ - 1) / stride + 1, (w_ - 1) / stride + 1, c_out, mid, parameters, true);
  }
  void max_pool(const std::string& name, i64 kernel, i64 stride, i64 pad) {
    LayerSpec layer{.kind = Kind::max_pool, .name = name, .kernel = kernel, .stride = stride, .pad = pad};
    add(layer, (h_ + 2 * pad - kernel) / stride + 1, (w_ + 2 * pad - kernel) / stride + 1, c_, c_, 0,
        h_ + 2 * pad >= kernel && w_ + 2 * pad >= kernel);
  }
  void resize(const std::string& name, i64 side, kernels::ResizeKind kind) {
    LayerSpec layer{.kind = Kind::resize, .name = name, .out_h = side, .out_w = side, .resize = kind};
    add(layer, side, side, c_, c_, 0, true);
  }
  void activation(const std::string& name, Act act) {
    add({.kind = Kind::activation, .name = name, .act = act}, h_, w_, c_, c_, 0, true);
  }
  void global_avg_pool(const std::string& name) {
    add({.kind = Kind::global_avg_pool, .name = name}, 1, 1, c_, c_, 0, true);
  }
  void linear(const std::string& name, i64 c_out) {
    add({.kind = Kind::linear, .name = name, .c_out = c_out}, 1, 1, c_out, c_out, c_out * (h_ * w_ * c_ + 1),
        true);
  }
  // A branch starts where the trunk is and counts against the same limit.
  Chain branch() const { return *this; }
  void join(const Chain& branch) { parameters_ = branch.parameters_; }

 private:
  static void require_extent(const std::string& name, i64 h, i64 w, i64 c) {
    if (h * w > kMaxElements || h * w * c > kMaxElements)
      throw input_error(name + ": wanted at most " + std::to_string(kMaxElements) + " values, got " +
                        std::to_string(h) + " x " + std::to_string(w) + " x " + std::to_string(c) +
                        "; make resolution or widths smaller");
  }
  void add(LayerSpec layer, i64 h, i64 w, i64 c, i64 widest, i64 parameters, bool fits) {
    if (!fits || h < 1 || w < 1)
      throw input_error(layer.name + ": wanted a feature map of at least " + std::to_string(layer.kernel) +
                        " x " + std::to_string(layer.kernel) + ", got " + std::to_string(h_) + " x " +
                        std::to_string(w_) + "; use a larger resolution or fewer strides");
    require_extent(layer.name, h, w, widest);
    parameters_ += parameters;
    if (parameters_ > kMaxParameters)
      throw input_error(layer.name + ": wanted at most " + std::to_string(kMaxParameters) +
                        " parameters up to here, got " + std::to_string(parameters_) +
                        "; make widths smaller");
    h_ = h;
    w_ = w;
    c_ = c;
    layers_->push_back(std::move(layer));
  }

  std::vector<LayerSpec>* layers_ = nullptr;
  i64 h_, w_, c_, parameters_ = 0;
};

void add_classifier(Chain& chain, const ClassifierModel& model, const std::string& prefix, i64 outputs) {
  if (model.feature_width)
    chain.conv(prefix + ".feature", model.feature_width, 1, 1, 0, 1, true, false, model.feature_act);
  chain.global_avg_pool(prefix + ".pool");
  if (model.hidden_width)
    chain.conv(prefix + ".hidden", model.hidden_width, 1, 1, 0, 1, false, model.hidden_bias,
               model.hidden_act);
  chain.linear(prefix + ".linear", outputs);
}

void add_module(Chain& chain, const ModuleModel& module, const std::string& prefix, const Genotype& g) {
  if (module_absent(module, g)) return;
  const ModuleType type = type_of(module, g);
  const i64 c = chain.channels();
  const auto get = [&](const Choice& choice) { return int_of(choice, g); };
  const i64 width = !uses(type, ModuleGene::width) ? c
                    : module.times                 ? c * get(module.width)
                                                   : get(module.width);
  const i64 kernel = uses(type, ModuleGene::kernel) ? get(module.kernel) : 1;
  const i64 stride = uses(type, ModuleGene::stride) ? get(module.stride) : 1;
  const std::string name = prefix + "." + module_type_name(type);
  switch (type) {
    case ModuleType::pool:
      chain.max_pool(name, 3, stride, 1);
      break;
    case ModuleType::pointwise:
      chain.conv(name, width, 1, 1, 0, 1, module.norm, !module.norm, module.act);
      break;
    case ModuleType::separable:
      chain.conv(name + ".depthwise", c, kernel, stride, kernel / 2, c, module.norm, !module.norm,
                 module.act);
      chain.conv(name + ".pointwise", width, 1, 1, 0, 1, module.norm, !module.norm, module.act);
      break;
    case ModuleType::mbconv:
      chain.mbconv(name, width, kernel, get(module.expand), stride, module.act, module.se);
      break;
    case ModuleType::dense:
      chain.conv(name, width, kernel, stride, kernel / 2, 1, module.norm, !module.norm, module.act);
      break;
    case ModuleType::resize_conv:
      chain.resize(name + ".resize", get(module.ext), module.resize);
      chain.conv(name + ".conv", width, kernel, 2, 0, 1, module.norm, !module.norm, module.act);
      if (get(module.pool)) chain.max_pool(name + ".pool", 2, 2, 0);
      break;
  }
}

i64 bounded(i64 value, i64 high, const char* what) {
  if (value < 1 || value > high)
    throw input_error("network input: wanted " + std::string(what) + " in 1.." + std::to_string(high) +
                      ", got " + std::to_string(value));
  return value;
}

}  // namespace

nn::Architecture Space::decode(const Genotype& genotype, const Task& task) const {
  require(genotype);
  const SpaceModel& model = *model_;
  const bool native = !model.resolution.used();
  const auto side = [&](i64 own) {
    return native ? (own ? own : model.reference_size) : int_of(model.resolution, genotype);
  };
  nn::Architecture net{.height = bounded(side(task.height), kMaxSide, "a height"),
                       .width = bounded(side(task.width), kMaxSide, "a width"),
                       .channels = bounded(task.channels, kMaxChannels, "a number of channels"),
                       .classes = bounded(task.classes, kMaxClasses, "a number of classes"),
                       .learned_confidence = model.learned_confidence};
  net.stages.resize(model.stages.size());

  Chain trunk(net.height, net.width, net.channels);
  std::size_t next_exit = 0;
  std::vector<Shrinkable> shrinkable;
  for (std::size_t s = 0; s < model.stages.size(); ++s) {
    const StageModel& stage = model.stages[s];
    nn::StageSpec& out = net.stages[s];
    const bool last = s + 1 == model.stages.size();
    out.name = last ? "final" : stage_name(i64(s));
    trunk.into(out.body);
    if (s == 0) {
      const StemModel& stem = model.stem;
      trunk.conv("stem.conv", int_of(stem.width, genotype), stem.kernel, stem.stride, stem.kernel / 2, 1,
                 true, false, stem.act);
      for (std::size_t b = 0; b < stem.blocks.size(); ++b) {
        const FixedBlock& block = stem.blocks[b];
        trunk.mbconv("stem.block" + std::to_string(b + 1), block.width, block.kernel, block.expand,
                     block.stride, block.act, block.se);
      }
    }
    const i64 width = int_of(stage.width, genotype), depth = int_of(stage.depth, genotype);
    for (i64 l = 0; l < depth; ++l)
      trunk.mbconv(stage_name(i64(s)) + ".block" + std::to_string(l + 1), width,
                   int_of(stage.kernel[std::size_t(l)], genotype),
                   int_of(stage.expand[std::size_t(l)], genotype), l == 0 ? stage.stride : 1, stage.act,
                   stage.se);

    Chain head = trunk.branch();
    head.into(out.head);
    if (last) {
      add_classifier(head, model.final, "final", net.outputs(s));
    } else if (next_exit < model.exits.size() && model.exits[next_exit].after == i64(s) + 1) {
      const ExitModel& exit = model.exits[next_exit++];
      if (!exit.on(value_of(exit.presence, genotype))) continue;
      if (exit.shrink) shrinkable.push_back({s, exit_prefix(exit)});
      if (exit.act != Act::none) head.activation(exit_prefix(exit) + ".act", exit.act);
      const i64 modules = modules_of(exit, genotype);
      for (i64 m = 0; m < modules; ++m)
        add_module(head, exit.modules[std::size_t(m)], exit_prefix(exit) + ".module" + std::to_string(m + 1),
                   genotype);
      add_classifier(head, exit.classifier, exit_prefix(exit), net.outputs(s));
    }
    trunk.join(head);
  }
  shrink_heads(net, shrinkable);
  return net;
}

}  // namespace offramp::nas
