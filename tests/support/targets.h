// The targets a test can run on here; the others are skipped visibly by the caller.
#pragma once
#include <vector>

#include "kernels/target.h"

namespace offramp::testing {

inline std::vector<Target> runnable_targets() {
  std::vector<Target> out;
  for (Target t : built_targets())
    if (cpu_supports(t)) out.push_back(t);
  return out;
}

}  // namespace offramp::testing
