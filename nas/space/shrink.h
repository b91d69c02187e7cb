// Heads that cost more than going on to the next exit are made cheaper by a pooling in front. Internal to
// nas/space.
#pragma once
#include <string>
#include <vector>

#include "nn/architecture.h"

namespace offramp::nas {

struct Shrinkable {
  std::size_t stage;   // index into Architecture::stages, whose head it is
  std::string prefix;  // of the pooling's name
};

// From the deepest exit to the shallowest: a max-pool of 2 or 4 is put in front of the head until leaving
// there costs less MACs (bodies and its own head) than leaving at the next exit, or no larger one is allowed:
// 4 from 16 channels on, 2 from 8, and none larger than the map. Source: NACHOS (arXiv 2401.13330) and its
// program.
void shrink_heads(nn::Architecture& net, const std::vector<Shrinkable>& heads);

}  // namespace offramp::nas
