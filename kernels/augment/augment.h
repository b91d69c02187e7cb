// Batches made on the card, with the numbers that a loader on the host draws: the same images bit for bit
// (with jitter up to the rounding of an image's mean).
#pragma once
#include "kernels/augment/augment_call.h"
#include "kernels/exec.h"

namespace offramp::kernels::cuda {

void augment(Exec& exec, const AugmentCallT<float>& call);
void augment(Exec& exec, const AugmentCallT<Bf16>& call);

}  // namespace offramp::kernels::cuda
