#include "kernels/cuda/entry_list.h"
#include "kernels/cuda/problem.h"
#include "kernels/cuda/vector.h"
#include "kernels/cuda/warp.h"
#include "kernels/update/update.h"
#include "kernels/update/update_list.h"

namespace offramp::kernels::cuda {
namespace {

using namespace offramp::cuda;

constexpr int kBlock = 256;
constexpr i64 kChunk = 8192;   // values of a block
constexpr int kEntries = 400;  // of a launch: what fits into its parameters

using List = EntryList<UpdateEntry, kEntries>;

template <class F>
i64 for_parts(std::span<const UpdateEntry> all, F&& f) {
  return offramp::cuda::for_parts<List>(
      all, [](const UpdateEntry& e) { return ceil_div(e.count, kChunk); }, f);
}

i64 values_of(std::span<const UpdateEntry> all) {
  i64 count = 0;
  for (const UpdateEntry& e : all) count += e.count;
  return count;
}

struct Place {
  int entry;
  i64 begin, end;
};
__device__ __forceinline__ Place place_of(const List& list) {
  const int entry = entry_of(list);
  const i64 begin = i64(i32(blockIdx.x) - list.first_block[entry]) * kChunk, count = list.entry[entry].count;
  return {entry, begin, begin + kChunk < count ? begin + kChunk : count};
}

__global__ void __launch_bounds__(kBlock) squares(const __grid_constant__ List list, float* sums) {
  const Place at = place_of(list);
  const float* const g = list.entry[at.entry].g;
  float sum = 0;
  for (i64 i = at.begin + threadIdx.x; i < at.end; i += kBlock) sum = fmaf(g[i], g[i], sum);
  sum = block_sum(sum);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(kBlock)
    finish_clip(const float* sums, i64 count, float max_norm, const float* loss, StepState* state) {
  __shared__ double of_thread[kBlock];
  double sum = 0;
  for (i64 i = threadIdx.x; i < count; i += kBlock) sum += double(sums[i]);
  of_thread[threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.x != 0) return;
  double total = 0;
  for (int i = 0; i < kBlock; ++i) total += of_thread[i];
  const float norm = float(sqrt(total));
  const bool finite = isfinite(norm) && isfinite(*loss);
  state->norm = norm;
  state->grad_scale = !finite ? 0.0f : max_norm > 0 && norm > max_norm ? max_norm / norm : 1.0f;
  state->loss_sum += *loss;
  state->steps += 1;
  if (!finite) state->not_finite_steps += 1;
}

__global__ void __launch_bounds__(kBlock)
    sgd(const __grid_constant__ List list, float momentum, bool nesterov, const StepState* state) {
  const Place at = place_of(list);
  const UpdateEntry& e = list.entry[at.entry];
  const float lr = state->lr, scale = state->grad_scale;
  if (state->not_finite_steps > 0) return;
  for (i64 i = at.begin + threadIdx.x; i < at.end; i += kBlock) {
    const float p = e.p[i], g = scale * e.g[i] + e.weight_decay * p, v = momentum * e.state[i] + g;
    e.state[i] = v;
    e.p[i] = p - lr * (nesterov ? g + momentum * v : v);
  }
}

__global__ void __launch_bounds__(kBlock)
    count_step(const __grid_constant__ List list, const StepState* state) {
  const int entry = int(blockIdx.x) * kBlock + int(threadIdx.x);
  if (entry < list.entries && state->not_finite_steps == 0) *list.entry[entry].steps += 1;
}

__global__ void __launch_bounds__(kBlock)
    adamw(const __grid_constant__ List list, float beta1, float beta2, float eps, const StepState* state) {
  __shared__ float bias1, bias2;
  const Place at = place_of(list);
  const UpdateEntry& e = list.entry[at.entry];
  if (state->not_finite_steps > 0) return;
  if (threadIdx.x == 0) {
    const double t = double(*e.steps);
    bias1 = float(1 - pow(double(beta1), t));
    bias2 = float(1 - pow(double(beta2), t));
  }
  __syncthreads();
  const float lr = state->lr, scale = state->grad_scale;
  const float keep = 1 - lr * e.weight_decay, fresh1 = 1 - beta1, fresh2 = 1 - beta2;
  for (i64 i = at.begin + threadIdx.x; i < at.end; i += kBlock) {
    const float g = scale * e.g[i];
    const float m = beta1 * e.state[i] + fresh1 * g, v = beta2 * e.second[i] + fresh2 * (g * g);
    e.state[i] = m;
    e.second[i] = v;
    e.p[i] = keep * e.p[i] - lr * (m / bias1) / (sqrtf(v / bias2) + eps);
  }
}

__global__ void __launch_bounds__(kBlock) ema(const __grid_constant__ List list, const StepState* state) {
  const Place at = place_of(list);
  const UpdateEntry& e = list.entry[at.entry];
  const float decay = state->ema_decay;
  for (i64 i = at.begin + threadIdx.x; i < at.end; i += kBlock)
    e.state[i] = decay * e.state[i] + (1 - decay) * e.p[i];
}

__global__ void write_step(StepState* state, float lr, float ema_decay) {
  state->lr = lr;
  state->ema_decay = ema_decay;
}
__global__ void write_zeros(StepState* state) {
  state->loss_sum = state->steps = state->not_finite_steps = 0;
}

// A door whose work grows with the parameters; they are too many to tell of each.
bool note_all(Exec& exec, const char* row, std::span<const UpdateEntry> all, const Cost& cost) {
  return note(exec, row, {{"arrays", i64(all.size())}, {"values", values_of(all)}}, cost);
}

}  // namespace

void set_step(Gpu& gpu, StepState* state, float lr, float ema_decay) {
  constexpr const char* kRow = "update/set_step/cuda";
  problem().set(kRow, {{"values", 2}});
  launch(gpu, {.op = kRow, .grid = 1, .block = 1}, write_step, state, lr, ema_decay);
}
void clear_sums(Gpu& gpu, StepState* state) {
  constexpr const char* kRow = "update/clear_sums/cuda";
  problem().set(kRow, {{"values", 3}});
  launch(gpu, {.op = kRow, .grid = 1, .block = 1}, write_zeros, state);
}

void clip_all(Exec& exec, std::span<const UpdateEntry> all, float max_norm, const float* loss,
              StepState* state) {
  constexpr const char *kSquares = "update/squares/cuda", *kClip = "update/clip/cuda";
  const i64 blocks = for_parts(all, [](const List&, i64) {});
  Gpu& gpu = *exec.gpu();
  float* sums = nullptr;
  if (note_all(exec, kSquares, all, sum_squares_cost(values_of(all)))) {
    gpu.join();  // gradients of weights may have gone aside
    sums = gpu.scratch(blocks + 1);
    for_parts(all, [&](const List& list, i64 before) {
      launch(gpu, {.op = kSquares, .grid = list.blocks(), .block = kBlock}, squares, list, sums + before);
    });
  }
  if (note(exec, kClip, {{"sums", blocks}}, Cost{.other_ops = 2 * blocks, .bytes_read = 4 * blocks}))
    launch(gpu, {.op = kClip, .grid = 1, .block = kBlock}, finish_clip, sums, blocks, max_norm, loss, state);
}

void sgd_all(Exec& exec, std::span<const UpdateEntry> all, float momentum, bool nesterov,
             const StepState* state) {
  constexpr const char* kRow = "update/sgd/cuda";
  if (!note_all(exec, kRow, all, sgd_cost(values_of(all), nesterov))) return;
  Gpu& gpu = *exec.gpu();
  gpu.join();
  for_parts(all, [&](const List& list, i64) {
    launch(gpu, {.op = kRow, .grid = list.blocks(), .block = kBlock}, sgd, list, momentum, nesterov, state);
  });
}

void adamw_all(Exec& exec, std::span<const UpdateEntry> all, float beta1, float beta2, float eps,
               const StepState* state) {
  constexpr const char *kCount = "update/count_step/cuda", *kRow = "update/adamw/cuda";
  const i64 counters = 8 * i64(all.size());
  Gpu& gpu = *exec.gpu();
  if (note(exec, kCount, {{"arrays", i64(all.size())}},
           Cost{.bytes_read = counters, .bytes_written = counters})) {
    gpu.join();
    for_parts(all, [&](const List& list, i64) {
      launch(gpu, {.op = kCount, .grid = ceil_div(list.entries, kBlock), .block = kBlock}, count_step, list,
             state);
    });
  }
  if (!note_all(exec, kRow, all, adamw_cost(values_of(all)))) return;
  for_parts(all, [&](const List& list, i64) {
    launch(gpu, {.op = kRow, .grid = list.blocks(), .block = kBlock}, adamw, list, beta1, beta2, eps, state);
  });
}

void ema_all(Exec& exec, std::span<const UpdateEntry> all, const StepState* state) {
  constexpr const char* kRow = "update/ema/cuda";
  if (!note_all(exec, kRow, all, ema_cost(values_of(all)))) return;
  Gpu& gpu = *exec.gpu();
  for_parts(all, [&](const List& list, i64) {
    launch(gpu, {.op = kRow, .grid = list.blocks(), .block = kBlock}, ema, list, state);
  });
}

}  // namespace offramp::kernels::cuda
