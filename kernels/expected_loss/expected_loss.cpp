#include "kernels/expected_loss/expected_loss.h"

#include "kernels/cuda/built.h"
#include "kernels/expected_loss/expected_loss_ref.h"
#include "kernels/recorder.h"

namespace offramp::kernels {
namespace {

template <class T>
void on_host(Exec& exec, const ExpectedLossCallT<T>& call) {
  if (note(exec, "expected_loss/any/reference", expected_loss_cost(call.rows, call.classes, call.exits)))
    ExpectedLossReference<T>(call).run();
}

}  // namespace

void expected_loss(Exec& exec, const ExpectedLossCallT<float>& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::expected_loss(exec, call);
  on_host(exec, call);
}
void expected_loss(Exec& exec, const ExpectedLossCallT<double>& call) { on_host(exec, call); }

}  // namespace offramp::kernels
