// Which networks to time so that every key of a space is met.
#pragma once
#include <functional>
#include <set>
#include <vector>

#include "nas/latency/table.h"
#include "nas/progress.h"

namespace offramp::nas {

struct CoverOptions {
  i64 each = 2;         // networks that every key should be met in
  i64 patience = 1000;  // genotypes in a row without a new key after which the space is taken as known
  i64 most = 10000;     // genotypes looked at
  u64 seed = 1;
  std::vector<Genotype> start;  // looked at first, and changed; chosen only where no other network has a key
  bool only_start = false;      // only keys that occur in `start` matter
};

struct Cover {
  std::vector<Genotype> networks;  // canonical, most new keys first
  i64 keys = 0;                    // found in all
  i64 known = 0;                   // of them in the table, `each` times
};

// Random genotypes, and changes of a few genes in those that brought a key never met before, until nothing
// new turns up; then as few of them as possible, so that every key has `each` observations together with
// those that the table holds. Depends on the arguments alone.
Cover cover_space(const Space& space, const Task& task, const LatencyTable& table,
                  const CoverOptions& options, const Watch& watch);

}  // namespace offramp::nas
