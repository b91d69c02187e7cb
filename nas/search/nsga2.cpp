#include "nas/search/nsga2.h"

#include "nas/search/dominance.h"

namespace offramp::nas {

std::vector<std::size_t> Nsga2::survivors(std::span<const Outcome> pool, i64 count, Rng&) {
  return select_by_crowding(pool, count);
}

}  // namespace offramp::nas
