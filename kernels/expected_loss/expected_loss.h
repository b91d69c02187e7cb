// The loss of exits that learn when to be left, and its gradients (expected_loss_call.h has the formula). A
// batch has a few thousand numbers: the host's is the reference, whatever its target.
#pragma once
#include "kernels/cost.h"
#include "kernels/exec.h"
#include "kernels/expected_loss/expected_loss_call.h"

namespace offramp::kernels {

// Of every exit the cross entropy and its gradient; of every early one two cross entropies of a number and a
// square, with their gradients.
constexpr Cost expected_loss_cost(i64 rows, i64 classes, i64 exits) {
  const i64 logits = exits * rows * classes, own = (exits - 1) * rows;
  return {.other_ops = 8 * logits + 30 * own,
          .bytes_read = 4 * (logits + own) + 8 * rows,
          .bytes_written = 4 * (logits + own)};
}

// On the card labels are not looked at: they must be valid.
void expected_loss(Exec& exec, const ExpectedLossCallT<float>& call);
void expected_loss(Exec& exec, const ExpectedLossCallT<double>& call);
// On the card. Bf16 lives nowhere else.
void expected_loss(Exec& exec, const ExpectedLossCallT<Bf16>& call);
namespace cuda {
void expected_loss(Exec& exec, const ExpectedLossCallT<float>& call);
}

}  // namespace offramp::kernels
