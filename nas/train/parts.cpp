#include "nas/train/parts.h"

#include <algorithm>

namespace offramp::nas {

std::vector<nn::NamedParameter> parameters_of(const nn::EarlyExitNetwork& network, Part part) {
  if (part == Part::all) return network.named_parameters();
  const std::vector<nn::StageSpec>& stages = network.architecture().stages;
  std::vector<std::string> exits;  // beginnings of their parameters' names
  for (std::size_t s = 0; s + 1 < stages.size(); ++s)
    for (const nn::LayerSpec& layer : stages[s].head) exits.push_back(layer.name + ".");
  std::vector<nn::NamedParameter> parameters;
  for (const nn::NamedParameter& p : network.named_parameters()) {
    const bool of_exit = std::any_of(exits.begin(), exits.end(),
                                     [&](const std::string& begin) { return p.name.starts_with(begin); });
    if (of_exit == (part == Part::exits)) parameters.push_back(p);
  }
  return parameters;
}

nn::Architecture backbone_of(nn::Architecture architecture) {
  for (std::size_t s = 0; s + 1 < architecture.stages.size(); ++s) architecture.stages[s].head.clear();
  return architecture;
}

Answers answers_of(Exec& exec, nn::EarlyExitNetwork& network, Part part, const Variable& images,
                   nn::Mode mode, bool equilibrium) {
  Answers answers;
  if (part == Part::all) {
    answers.logits = network.forward(exec, images, mode, equilibrium, &answers.confidence);
    return answers;
  }
  const nn::Mode of_trunk = part == Part::exits ? nn::Mode::evaluate : mode;
  Variable features = images;
  for (i64 stage = 0; stage < network.stage_count(); ++stage) {
    const bool last = stage + 1 == network.stage_count();
    features = network.body(exec, stage, features, of_trunk);
    if (!network.has_head(stage) || (part == Part::backbone && !last)) continue;
    const Variable outputs = network.head(exec, stage, features, last ? of_trunk : mode);
    answers.logits.push_back(network.answer(stage, outputs, &answers.confidence));
  }
  return answers;
}

}  // namespace offramp::nas
