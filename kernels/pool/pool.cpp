#include "kernels/cuda/built.h"
#include "kernels/pool/pool.h"

#include <algorithm>
#include <string>

#include "kernels/error.h"
#include "kernels/parallel.h"
#include "kernels/pool/pool_ref.h"
#include "kernels/recorder.h"
#include "kernels/select.h"

namespace offramp::kernels {
namespace {

// Units a chunk takes: about 64 thousand operations, a few microseconds.
i64 grain_of(i64 ops_per_unit) { return std::max<i64>(1, 65536 / std::max<i64>(1, ops_per_unit)); }

}  // namespace

void require_pool(const PoolDims& d) {
  const bool sizes = d.n >= 1 && d.h >= 1 && d.w >= 1 && d.c >= 1 && d.kernel >= 1 && d.stride >= 1;
  const bool pads = d.pad >= 0 && d.pad <= d.kernel / 2;
  if (sizes && pads && d.h + 2 * d.pad >= d.kernel && d.w + 2 * d.pad >= d.kernel) return;
  throw input_error(
      "pool: wanted positive sizes, pad in [0, kernel/2] and a kernel inside the padded image, got x [" +
      std::to_string(d.n) + "," + std::to_string(d.h) + "," + std::to_string(d.w) + "," +
      std::to_string(d.c) + "], kernel " + std::to_string(d.kernel) + ", stride " + std::to_string(d.stride) +
      ", pad " + std::to_string(d.pad));
}

void require_global_avg_pool(const GlobalPoolDims& d) {
  if (d.n >= 1 && d.hw >= 1 && d.c >= 1) return;
  throw input_error("global_avg_pool: wanted positive sizes, got n " + std::to_string(d.n) + ", pixels " +
                    std::to_string(d.hw) + ", channels " + std::to_string(d.c));
}

void pool(Exec& exec, const PoolCall& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::pool(exec, call);
  const PoolDims& d = call.dims;
  const auto& row = select_row(pool_table(), exec.target(), d);
  if (!note(exec, row.name, pool_cost(d), call)) return;
  parallel_for(exec, d.n * call.out_h, grain_of(call.out_w * d.c * d.kernel * d.kernel),
               [&](i64 begin, i64 end, int) { row.run(call, begin, end); });
}

void pool_grad(Exec& exec, const PoolGradCall& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::pool_grad(exec, call);
  const PoolDims& d = call.dims;
  const auto& row = select_row(pool_grad_table(), exec.target(), d);
  if (!note(exec, row.name, pool_grad_cost(d))) return;
  parallel_for(exec, d.n, grain_of(call.out_h * call.out_w * d.c * d.kernel * d.kernel),
               [&](i64 begin, i64 end, int) { row.run(call, begin, end); });
}

void global_avg_pool(Exec& exec, const GlobalAvgPoolCall& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::global_avg_pool(exec, call);
  const GlobalPoolDims& d = call.dims;
  const auto& row = select_row(global_avg_pool_table(), exec.target(), d);
  if (!note(exec, row.name, global_avg_pool_cost(d), call)) return;
  parallel_for(exec, d.n, grain_of(d.hw * d.c), [&](i64 begin, i64 end, int) { row.run(call, begin, end); });
}

void global_avg_pool_grad(Exec& exec, const GlobalAvgPoolGradCall& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::global_avg_pool_grad(exec, call);
  const GlobalPoolDims& d = call.dims;
  const auto& row = select_row(global_avg_pool_grad_table(), exec.target(), d);
  if (!note(exec, row.name, global_avg_pool_grad_cost(d))) return;
  parallel_for(exec, d.n, grain_of(d.hw * d.c), [&](i64 begin, i64 end, int) { row.run(call, begin, end); });
}

void pool(Exec& exec, const PoolCallT<double>& call) {
  if (note(exec, "pool/reference/double", pool_cost(call.dims))) pool_ref(call);
}
void pool_grad(Exec& exec, const PoolGradCallT<double>& call) {
  if (note(exec, "pool_grad/reference/double", pool_grad_cost(call.dims))) pool_grad_ref(call);
}
void global_avg_pool(Exec& exec, const GlobalAvgPoolCallT<double>& call) {
  if (note(exec, "global_avg_pool/reference/double", global_avg_pool_cost(call.dims)))
    global_avg_pool_ref(call);
}
void global_avg_pool_grad(Exec& exec, const GlobalAvgPoolGradCallT<double>& call) {
  if (note(exec, "global_avg_pool_grad/reference/double", global_avg_pool_grad_cost(call.dims)))
    global_avg_pool_grad_ref(call);
}

}  // namespace offramp::kernels
