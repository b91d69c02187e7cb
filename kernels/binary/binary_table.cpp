// The list of add and mul rows, and the doors that choose from it.
#include <algorithm>
#include <array>

#include "kernels/cuda/built.h"
#include "kernels/binary/binary.h"
#include "kernels/binary/binary_ref.h"
#include "kernels/binary/binary_rows.h"
#include "kernels/parallel.h"
#include "kernels/recorder.h"
#include "kernels/select.h"

namespace offramp::kernels {
namespace {

constexpr i64 kGrain = 32768;  // elements a thread claims at once

bool any(const BinaryDims&) { return true; }

constexpr auto kForward = std::to_array<BinaryRow<BinaryCall>>({
#if defined(__x86_64__)
  {"binary/any/avx512", Target::avx512, any, binary_avx512},
      {"binary/any/avx2", Target::avx2, any, binary_avx2},
#endif
      {"binary/any/portable", Target::portable, any, binary_portable},
});
constexpr auto kGrad = std::to_array<BinaryRow<BinaryGradCall>>({
#if defined(__x86_64__)
  {"binary_grad/any/avx512", Target::avx512, any, binary_grad_avx512},
      {"binary_grad/any/avx2", Target::avx2, any, binary_grad_avx2},
#endif
      {"binary_grad/any/portable", Target::portable, any, binary_grad_portable},
});

}  // namespace

void binary(Exec& exec, const BinaryCall& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::binary(exec, call);
  const BinaryDims& d = call.dims;
  const auto& row = select_row(kForward, exec.target(), d);
  if (!note(exec, row.name, binary_cost(d), call)) return;
  const i64 units = d.broadcast ? d.n * d.hw : binary_count(d);
  const i64 grain = d.broadcast ? std::max<i64>(kGrain / std::max<i64>(d.c, 1), 1) : kGrain;
  parallel_for(exec, units, grain, [&](i64 begin, i64 end, int) { row.run(call, begin, end); });
}

void binary_grad(Exec& exec, const BinaryGradCall& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::binary_grad(exec, call);
  const BinaryDims& d = call.dims;
  const auto& row = select_row(kGrad, exec.target(), d);
  if (!note(exec, row.name, binary_grad_cost(d))) return;
  const i64 units = d.broadcast ? d.n : binary_count(d);
  const i64 grain = d.broadcast ? std::max<i64>(kGrain / std::max<i64>(d.hw * d.c, 1), 1) : kGrain;
  parallel_for(exec, units, grain, [&](i64 begin, i64 end, int) { row.run(call, begin, end); });
}

void binary(Exec& exec, const BinaryCallT<double>& call) {
  if (note(exec, "binary/any/reference", binary_cost(call.dims))) binary_reference(call);
}

void binary_grad(Exec& exec, const BinaryGradCallT<double>& call) {
  if (note(exec, "binary_grad/any/reference", binary_grad_cost(call.dims))) binary_grad_reference(call);
}

std::span<const BinaryRow<BinaryCall>> binary_table() { return kForward; }
std::span<const BinaryRow<BinaryGradCall>> binary_grad_table() { return kGrad; }

}  // namespace offramp::kernels
