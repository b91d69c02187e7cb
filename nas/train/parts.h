// Parts of a network that a phase of its training moves: everything, the backbone without early exits, or the
// early exits on a backbone that stays as it is.
#pragma once
#include <vector>

#include "nn/network.h"

namespace offramp::nas {

enum class Part { all, backbone, exits };

// The final exit belongs to the backbone.
std::vector<nn::NamedParameter> parameters_of(const nn::EarlyExitNetwork& network, Part part);

// The network without its early exits.
nn::Architecture backbone_of(nn::Architecture architecture);

struct Answers {
  std::vector<Variable> logits;      // [n,classes] of each exit that the part has, in order
  std::vector<Variable> confidence;  // [n,1] of each early one, where they learn one
};

// The forward pass of a part in training or, with Mode::recalibrate, without parameters' gradients. A frozen
// backbone (Part::exits) answers as it will when deployed, from its running statistics.
Answers answers_of(Exec& exec, nn::EarlyExitNetwork& network, Part part, const Variable& images,
                   nn::Mode mode, bool equilibrium);

}  // namespace offramp::nas
