// A weight-sharing supernet with its exits: one set of parameters at full extent, of which every network of
// the space uses a part. A subnet is the plain network class over views of those parameters, so there is one
// forward. Source of the scheme: Cai et al. 2020 (Once-for-All), width prefixes and centre crops of kernels.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "nas/space/space.h"
#include "nn/checkpoint.h"

namespace offramp::nas {

class Supernet {
 public:
  // Parameters at the extents that cover the whole space, initialised from `rng`, in the memory of `device`.
  Supernet(Space space, const Task& task, Rng rng, Device device = Device::cpu);

  const Space& space() const { return space_; }
  const Task& task() const { return task_; }

  // The network of a genotype over views of the shared parameters: training it trains them. Its normalisation
  // statistics are its own.
  nn::EarlyExitNetwork subnet(const Genotype& genotype) const;

  // The same network with parameters of its own, copied; statistics are fresh (recalibrate before use).
  nn::EarlyExitNetwork extract(const Genotype& genotype) const;

  // Shared parameters by name, in a fixed order. For optimisers and checkpoints.
  const std::vector<nn::NamedParameter>& parameters() const { return parameters_; }
  nn::StateDict state() const;  // the same as live views by name

 private:
  class Views;
  Space space_;
  Task task_;
  Device device_;
  std::vector<nn::NamedParameter> parameters_;
  std::map<std::string, std::size_t> index_;  // into parameters_
};

}  // namespace offramp::nas
