// The loss of all exits and its gradients in one call: a sum of weighted cross entropies and divergences
// (softmax_call.h has the formulas). double runs the reference.
#pragma once
#include "kernels/cost.h"
#include "kernels/exec.h"
#include "kernels/exit_loss/exit_loss_call.h"

namespace offramp::kernels {

// Throws Error(input) as cross_entropy and kl_div do. On the card labels are not looked at: they must be
// valid.
void exit_loss(Exec& exec, const ExitLossCall& call);
void exit_loss(Exec& exec, const ExitLossCallT<double>& call);
// On the card. Bf16 lives nowhere else.
void exit_loss(Exec& exec, const ExitLossCallT<Bf16>& call);
namespace cuda {
void exit_loss(Exec& exec, const ExitLossCall& call);
}

}  // namespace offramp::kernels
