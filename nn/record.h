// From a network to its plan: run the real forward with a dry recorder and keep the list of calls.
#pragma once
#include "nn/network.h"
#include "nn/plan/plan.h"

namespace offramp::nn {

// The calls of one sample's forward in evaluation mode, stage by stage, as they are: normalisation and
// activation stand beside their convolutions. Works on a network without storage (MetaParameters): the same
// plan, its weights then are meta tensors. Throws Error when the forward makes a call that no plan can hold
// (a strided weight).
Plan record(EarlyExitNetwork& network);

// Folds normalisation into the convolution before it, fuses activations and residual additions into the call
// that produces their operand, and drops what nobody reads. The result computes the same function up to
// rounding.
void fold(Plan& plan);

// record + fold: what ships. Costs are read from this.
Plan deployable(EarlyExitNetwork& network);

}  // namespace offramp::nn
