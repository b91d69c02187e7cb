#include "kernels/expected_loss/expected_loss.h"

#include "kernels/cuda/built.h"
#include "kernels/expected_loss/expected_loss_ref.h"

namespace offramp::kernels {

void expected_loss(Exec& exec, const ExpectedLossCallT<float>& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::expected_loss(exec, call);
  ExpectedLossReference<float>(call).run();
}
void expected_loss(Exec&, const ExpectedLossCallT<double>& call) {
  ExpectedLossReference<double>(call).run();
}

}  // namespace offramp::kernels
