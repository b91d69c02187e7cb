// The floor of work on a card: the sum over its kernels of the least time that their bytes, their arithmetic
// and being a node of a graph allow.
#pragma once
#include <functional>

#include "kernels/exec.h"
#include "kernels/roofline/card_limits.h"

namespace offramp::bench {

struct Floor {
  double us = 0;
  i64 kernels = 0;  // counted
};

// Runs `work` once. Kernels that a door notes count by what they declare; what tensors launch beside them
// (copies, sums and fills: kernels/cuda/strided.h) by the values that their blocks walk over.
Floor floor_of(Exec& exec, const kernels::CardLimits& card, const std::function<void()>& work);

// How far above its floor a network may take, or 0 where nothing is asked: at small batches launches alone
// decide.
double wanted_ratio(const std::string& network, i64 batch);

}  // namespace offramp::bench
