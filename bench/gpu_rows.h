// Every row of the card's tables of gemm and conv2d on the convolutions of a network.
#pragma once
#include <nlohmann/json.hpp>

#include "kernels/exec.h"
#include "nn/plan/plan.h"

namespace offramp::bench {

// One entry for each distinct dense convolution and product of the plan at this batch, and row that takes it:
// held against the row that the door takes, then timed as a graph. A row that disagrees has "wrong" and no
// time.
nlohmann::ordered_json time_rows(Exec& exec, const nn::Plan& plan, i64 batch, i64 runs);

}  // namespace offramp::bench
