#include "nas/search/descent.h"

#include <set>

namespace offramp::nas {

void Descent::add(const Proposal& individual) {
  const Genotype& genes = individual.genotype;
  std::vector<i64> sources(genes.size(), -1);
  if (const auto seed = seeds_.find(genes); individual.origin == "seed" && seed != seeds_.end())
    sources.assign(genes.size(), seed->second);
  for (std::size_t g = 0; g < genes.size(); ++g)
    for (i64 id : individual.parents) {
      const Individual& parent = individuals_[std::size_t(id)];
      if (sources[g] < 0 && parent.genes[g] == genes[g]) sources[g] = parent.sources[g];
    }
  individuals_.push_back({genes, std::move(sources)});
}

std::vector<i64> Descent::ancestors(i64 individual) const {
  const std::vector<i64>& sources = individuals_[std::size_t(individual)].sources;
  std::set<i64> ids(sources.begin(), sources.end());
  ids.erase(-1);
  return {ids.begin(), ids.end()};
}

}  // namespace offramp::nas
