// offramp space cost: exact MACs of one genotype.
#pragma once
#include "nas/cli/verb.h"

namespace offramp::cli {

void run_space_cost(Console& console, const Words& words);

}  // namespace offramp::cli
