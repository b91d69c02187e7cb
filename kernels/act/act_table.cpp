// The list of activation rows, and the doors that choose from it.
#include <array>

#include "kernels/act/act.h"
#include "kernels/act/act_ref.h"
#include "kernels/act/act_rows.h"
#include "kernels/cuda/built.h"
#include "kernels/parallel.h"
#include "kernels/recorder.h"
#include "kernels/select.h"

namespace offramp::kernels {
namespace {

constexpr i64 kGrain = 32768;  // elements a thread claims at once: 128 KB in, 128 KB out

bool any(const ActDims&) { return true; }

constexpr auto kForward = std::to_array<ActRow<ActCall>>({
#if defined(__x86_64__)
  {"act/any/avx512", Target::avx512, any, act_avx512}, {"act/any/avx2", Target::avx2, any, act_avx2},
#endif
      {"act/any/portable", Target::portable, any, act_portable},
});
constexpr auto kGrad = std::to_array<ActRow<ActGradCall>>({
#if defined(__x86_64__)
  {"act_grad/any/avx512", Target::avx512, any, act_grad_avx512},
      {"act_grad/any/avx2", Target::avx2, any, act_grad_avx2},
#endif
      {"act_grad/any/portable", Target::portable, any, act_grad_portable},
});

}  // namespace

void activate(Exec& exec, const ActCall& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::activate(exec, call);
  const auto& row = select_row(kForward, exec.target(), call.dims);
  if (!note(exec, row.name, act_cost(call.dims), call)) return;
  parallel_for(exec, call.dims.count, kGrain, [&](i64 begin, i64 end, int) { row.run(call, begin, end); });
}

void activate_grad(Exec& exec, const ActGradCall& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::activate_grad(exec, call);
  const auto& row = select_row(kGrad, exec.target(), call.dims);
  if (!note(exec, row.name, act_grad_cost(call.dims))) return;
  parallel_for(exec, call.dims.count, kGrain, [&](i64 begin, i64 end, int) { row.run(call, begin, end); });
}

void activate(Exec& exec, const ActCallT<double>& call) {
  if (!note(exec, "act/any/reference", act_cost(call.dims))) return;
  act_reference(call, 0, call.dims.count);
}

void activate_grad(Exec& exec, const ActGradCallT<double>& call) {
  if (!note(exec, "act_grad/any/reference", act_grad_cost(call.dims))) return;
  act_grad_reference(call, 0, call.dims.count);
}

std::span<const ActRow<ActCall>> act_table() { return kForward; }
std::span<const ActRow<ActGradCall>> act_grad_table() { return kGrad; }

}  // namespace offramp::kernels
