// Device rows of the activations: one pass, 16 bytes an access where the arrays allow it.
#include "kernels/act/act.h"
#include "kernels/act/act_device.h"
#include "kernels/cuda/problem.h"
#include "kernels/cuda/vector.h"

namespace offramp::kernels::cuda {
namespace {

using namespace offramp::cuda;

constexpr int kBlock = 256;

template <class T, int n>
__global__ void act_kernel(ActCallT<T> call, LiveRows live) {
  const i64 i = (blockIdx.x * i64(kBlock) + threadIdx.x) * n;
  if (i >= call.dims.count || live.beyond(i)) return;
  Floats<n> x = load<n>(call.x + i);
#pragma unroll
  for (int k = 0; k < n; ++k) x.v[k] = apply_act(call.dims.act, x.v[k]);
  store<n>(call.y + i, x);
}

template <class T, int n>
__global__ void act_grad_kernel(ActGradCallT<T> call) {
  const i64 i = (blockIdx.x * i64(kBlock) + threadIdx.x) * n;
  if (i >= call.dims.count) return;
  const Floats<n> x = load<n>(call.x + i);
  Floats<n> g = load<n>(call.gy + i);
#pragma unroll
  for (int k = 0; k < n; ++k) g.v[k] *= act_slope(call.dims.act, x.v[k]);
  store<n>(call.gx + i, g);
}

template <class T>
void run(Exec& exec, const ActCallT<T>& call) {
  constexpr const char* kRow = "act/any/cuda";
  if (!note(exec, kRow, call.dims, act_cost(call.dims))) return;
  constexpr int n = kWide<T>;
  const bool wide = aligned_for(call.x, call.dims.count, n) && aligned_for(call.y, call.dims.count, n);
  const i64 threads = wide ? call.dims.count / n : call.dims.count;
  launch(*exec.gpu(), {.op = kRow, .grid = ceil_div(threads, kBlock), .block = kBlock},
         wide ? act_kernel<T, n> : act_kernel<T, 1>, call, live_rows(*exec.gpu(), call.dims.count));
}

template <class T>
void run_grad(Exec& exec, const ActGradCallT<T>& call) {
  constexpr const char* kRow = "act_grad/any/cuda";
  if (!note(exec, kRow, call.dims, act_grad_cost(call.dims))) return;
  constexpr int n = kWide<T>;
  const bool wide = aligned_for(call.x, call.dims.count, n) && aligned_for(call.gy, call.dims.count, n) &&
                    aligned_for(call.gx, call.dims.count, n);
  const i64 threads = wide ? call.dims.count / n : call.dims.count;
  launch(*exec.gpu(), {.op = kRow, .grid = ceil_div(threads, kBlock), .block = kBlock},
         wide ? act_grad_kernel<T, n> : act_grad_kernel<T, 1>, call);
}

}  // namespace

void activate(Exec& exec, const ActCall& call) { run(exec, call); }
void activate_grad(Exec& exec, const ActGradCall& call) { run_grad(exec, call); }

}  // namespace offramp::kernels::cuda

namespace offramp::kernels {

void activate(Exec& exec, const ActCallT<Bf16>& call) { cuda::run(exec, call); }
void activate_grad(Exec& exec, const ActGradCallT<Bf16>& call) { cuda::run_grad(exec, call); }

}  // namespace offramp::kernels
