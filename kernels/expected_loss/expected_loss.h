// The loss of exits that learn when to be left, and its gradients (expected_loss_call.h has the formula). A
// batch has a few thousand numbers: the host's is the reference, whatever its target.
#pragma once
#include "kernels/exec.h"
#include "kernels/expected_loss/expected_loss_call.h"

namespace offramp::kernels {

// On the card labels are not looked at: they must be valid.
void expected_loss(Exec& exec, const ExpectedLossCallT<float>& call);
void expected_loss(Exec& exec, const ExpectedLossCallT<double>& call);
// On the card. Bf16 lives nowhere else.
void expected_loss(Exec& exec, const ExpectedLossCallT<Bf16>& call);
namespace cuda {
void expected_loss(Exec& exec, const ExpectedLossCallT<float>& call);
}

}  // namespace offramp::kernels
