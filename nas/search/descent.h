// Where the genes of a search's individuals come from, when the search started from candidates of another
// one.
#pragma once
#include <map>
#include <vector>

#include "nas/search/candidate.h"

namespace offramp::nas {

class Descent {
 public:
  // seeds: what the search starts from -> id of that candidate in the other search.
  explicit Descent(std::map<Genotype, i64> seeds) : seeds_(std::move(seeds)) {}

  // In order of id, so that parents come before their children. A gene comes from the first parent that has
  // it from a candidate; what mutation, the canonical form or chance made comes from none.
  void add(const Proposal& individual);

  // Candidates of the other search that the individual has genes of: ids, ascending.
  std::vector<i64> ancestors(i64 individual) const;

 private:
  struct Individual {
    Genotype genes;
    std::vector<i64> sources;  // per gene, -1: none
  };
  std::map<Genotype, i64> seeds_;
  std::vector<Individual> individuals_;  // by id
};

}  // namespace offramp::nas
