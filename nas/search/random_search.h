// Uniform random sampling without repetition: the baseline every other sampler has to beat.
#pragma once
#include "nas/search/sampler.h"

namespace offramp::nas {

struct RandomSearchOptions {
  u64 seed = 0;
  i64 batch = 40;               // proposals per ask
  std::vector<Genotype> seeds;  // proposed first
};

class RandomSearch : public Sampler {
 public:
  RandomSearch(GeneSpace space, RandomSearchOptions options);

 private:
  std::optional<Proposal> propose(i64 generation, i64 index) override;
  i64 generation_size(i64) const override { return options_.batch; }
  void told(std::size_t) override {}

  RandomSearchOptions options_;
};

}  // namespace offramp::nas
