#include "nn/network.h"

#include <algorithm>

#include "autograd/ops/scale_gradient.h"
#include "kernels/error.h"

namespace offramp::nn {

EarlyExitNetwork::EarlyExitNetwork(Architecture architecture, ParameterSource& source,
                                   const NetworkOptions& options)
    : architecture_(std::move(architecture)) {
  require_architecture(architecture_);
  Registry registry(source, options);
  const auto build = [&registry](const std::vector<LayerSpec>& specs, FeatureShape& shape) {
    Layers layers;
    for (const LayerSpec& spec : specs) {
      layers.push_back(make_layer(spec, shape, registry));
      shape = layer_output(spec, shape);
    }
    return layers;
  };
  FeatureShape shape{architecture_.height, architecture_.width, architecture_.channels};
  for (const StageSpec& stage : architecture_.stages) {
    Layers body = build(stage.body, shape);
    FeatureShape branch = shape;
    stages_.push_back({std::move(body), build(stage.head, branch)});
  }
  parameters_ = std::move(registry.parameters);
  buffers_ = std::move(registry.buffers);
}

i64 EarlyExitNetwork::exit_count() const {
  return std::count_if(stages_.begin(), stages_.end(), [](const Stage& s) { return !s.head.empty(); });
}

Variable EarlyExitNetwork::run(Exec& exec, Layers& layers, Variable x, Mode mode) {
  for (const auto& layer : layers) x = layer->forward(exec, x, mode);
  return x;
}

Variable EarlyExitNetwork::body(Exec& exec, i64 stage, const Variable& x, Mode mode) {
  if (stage == 0) {
    const Architecture& a = architecture_;
    const Shape& s = x.shape();
    if (s.rank() != 4 || s[0] < 1 || s[1] != a.height || s[2] != a.width || s[3] != a.channels)
      throw input_error("network: input [n," + std::to_string(a.height) + "," + std::to_string(a.width) +
                        "," + std::to_string(a.channels) + "] wanted, got " + s.str());
  }
  return run(exec, stages_[size_t(stage)].body, x, mode);
}

Variable EarlyExitNetwork::head(Exec& exec, i64 stage, const Variable& features, Mode mode) {
  if (!has_head(stage))
    throw usage_error("network: stage '" + architecture_.stages[size_t(stage)].name + "' has no head");
  return run(exec, stages_[size_t(stage)].head, features, mode);
}

Variable EarlyExitNetwork::answer(i64 stage, const Variable& outputs,
                                  std::vector<Variable>* confidence) const {
  const i64 classes = architecture_.classes;
  if (architecture_.outputs(size_t(stage)) == classes) return outputs;
  if (confidence) confidence->push_back(Variable::slice(outputs, 1, classes, 1));
  return Variable::slice(outputs, 1, 0, classes);
}

std::vector<Variable> EarlyExitNetwork::forward(Exec& exec, const Variable& x, Mode mode, bool equilibrium,
                                                std::vector<Variable>* confidence) {
  std::vector<Variable> logits;
  const i64 exits = exit_count();
  Variable features = x;
  for (i64 stage = 0; stage < stage_count(); ++stage) {
    features = body(exec, stage, features, mode);
    if (!has_head(stage)) continue;
    const double left = double(exits - i64(logits.size()));  // this exit and those behind it
    if (!equilibrium || left == 1) {
      logits.push_back(answer(stage, head(exec, stage, features, mode), confidence));
      continue;
    }
    const Variable branch = ops::scale_gradient(features, 1 / left);
    logits.push_back(answer(stage, head(exec, stage, branch, mode), confidence));
    features = ops::scale_gradient(features, (left - 1) / left);
  }
  return logits;
}

void EarlyExitNetwork::reset_statistics() {
  for (Stage& stage : stages_)
    for (Layers* layers : {&stage.body, &stage.head})
      for (const auto& layer : *layers) layer->reset_statistics();
}

}  // namespace offramp::nn
