#include "nas/search/genes.h"

#include <string>

#include "kernels/error.h"

namespace offramp::nas {

void require_gene_space(const GeneSpace& space) {
  if (space.choices.empty()) throw usage_error("search space: no genes; wanted at least one");
  for (std::size_t i = 0; i < space.choices.size(); ++i)
    if (space.choices[i] < 1 || space.choices[i] > 65535)
      throw usage_error("search space: gene " + std::to_string(i) + " has " +
                        std::to_string(space.choices[i]) + " choices; wanted 1 to 65535");
}

void require_genotype(const GeneSpace& space, const Genotype& genes) {
  if (genes.size() != space.choices.size())
    throw usage_error("genotype: got " + std::to_string(genes.size()) + " genes; the space has " +
                      std::to_string(space.choices.size()));
  for (std::size_t i = 0; i < genes.size(); ++i)
    if (genes[i] < 0 || genes[i] >= space.choices[i])
      throw usage_error("genotype: gene " + std::to_string(i) + " is " + std::to_string(genes[i]) +
                        "; wanted 0 to " + std::to_string(space.choices[i] - 1));
}

}  // namespace offramp::nas
