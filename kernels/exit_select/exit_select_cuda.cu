#include <algorithm>

#include "kernels/cuda/problem.h"
#include "kernels/cuda/vector.h"
#include "kernels/cuda/warp.h"
#include "kernels/exit_select/exit_select.h"

namespace offramp::kernels::cuda {
namespace {

using namespace offramp::cuda;

constexpr int kThreads = 1024, kWarps = kThreads / 32;

struct Answer {
  i32 predicted;
  float confidence;
};
// nn/plan/confidence.cpp's decision, in double too: the same exits are taken. logit(c) is a float; own: of
// the learned confidence, infinite where none is learned.
template <class Logit>
__device__ Answer decide(Logit logit, i64 classes, ExitMeasure measure, float temperature, float own) {
  i64 best = 0, second = -1;
  for (i64 c = 1; c < classes; ++c) {
    const float v = logit(c);
    if (v > logit(best))
      second = best, best = c;
    else if (second < 0 || v > logit(second))
      second = c;
  }
  const double most = double(logit(best)), sharpness = 1 / double(temperature);
  double sum = 0, weighted = 0;
  for (i64 c = 0; c < classes; ++c) {
    const double shifted = (double(logit(c)) - most) * sharpness, e = exp(shifted);
    sum += e;
    weighted += e * shifted;
  }
  double value = 1 / sum;
  if (measure == ExitMeasure::margin && second >= 0)
    value = (1 - exp((double(logit(second)) - most) * sharpness)) / sum;
  if (measure == ExitMeasure::entropy)
    value = classes > 1 ? 1 - (log(sum) - weighted / sum) / log(double(classes)) : 1.0;
  if (measure == ExitMeasure::learned || measure == ExitMeasure::learned_cumulative)
    value = 1 / (1 + exp(-double(own)));
  return {i32(best), float(value)};
}

// The logarithms of a sample's probabilities at this exit, added to those before.
template <class T>
__device__ void join(const ExitSelectCallT<T>& call, const T* logits, double* log_sum) {
  double most = double(to_float(logits[0])), sum = 0;
  for (i64 c = 1; c < call.classes; ++c) most = max(most, double(to_float(logits[c])));
  const double sharpness = 1 / double(call.temperature);
  for (i64 c = 0; c < call.classes; ++c) sum += exp((double(to_float(logits[c])) - most) * sharpness);
  const double log_of_sum = log(sum);
  for (i64 c = 0; c < call.classes; ++c)
    log_sum[c] =
        (call.met > 1 ? log_sum[c] : 0.0) + (double(to_float(logits[c])) - most) * sharpness - log_of_sum;
}

// ExitDecider::decide of nn/plan/exit_rule.cpp.
template <class T>
__device__ Answer answer_of(const ExitSelectCallT<T>& call, i32 row, i32 place) {
  const T* const logits = call.logits + i64(row) * call.outputs;
  const float own = call.outputs > call.classes ? to_float(logits[call.classes]) : INFINITY;
  Answer a;
  if (call.cascade) {
    double* const log_sum = call.memory.log_sum + i64(place) * call.classes;
    join(call, logits, log_sum);
    const auto joined = [&](i64 c) { return float(log_sum[c] / double(call.met)); };
    a = decide(joined, call.classes, call.measure, 1.0f, own);
  } else {
    const auto plain = [&](i64 c) { return to_float(logits[c]); };
    a = decide(plain, call.classes, call.measure, call.temperature, own);
  }
  if (call.measure == ExitMeasure::cumulative || call.measure == ExitMeasure::learned_cumulative) {
    const double before = call.met > 1 ? call.memory.doubt[place] : 1.0;
    const double doubt = before * (1 - double(a.confidence));
    call.memory.doubt[place] = doubt;
    a.confidence = float(1 - doubt);
  } else if (call.measure == ExitMeasure::patience) {
    const bool agrees = call.met > 1 && call.memory.said[place] == a.predicted;
    const i32 agreeing = agrees ? call.memory.agreeing[place] + 1 : 1;
    call.memory.said[place] = a.predicted;
    call.memory.agreeing[place] = agreeing;
    a.confidence = float(agreeing);
  }
  return a;
}

// One block: the order of who stays is that of the rows.
template <class T>
__global__ void __launch_bounds__(kThreads) select(ExitSelectCallT<T> call) {
  __shared__ i32 of_warp[kWarps];
  const int t = int(threadIdx.x), warp = t / 32, lane = t % 32;
  const i32 count = *call.count;
  i32 left = 0;  // of all rows before
  for (i32 first = 0; first < count; first += kThreads) {
    const i32 row = first + t;
    bool stays = false;
    if (row < count) {
      const i32 place = call.sample[row];
      const Answer a = answer_of(call, row, place);
      stays = !call.last && !(a.confidence >= call.threshold);
      if (!stays) {
        call.predicted[place] = a.predicted;
        call.confidence[place] = a.confidence;
        call.exit_taken[place] = call.exit;
      }
    }
    const u32 mask = __ballot_sync(kAllLanes, stays);
    if (lane == 0) of_warp[warp] = i32(__popc(int(mask)));
    __syncthreads();
    i32 before = left, all = left;
    for (int w = 0; w < kWarps; ++w) {
      if (w < warp) before += of_warp[w];
      all += of_warp[w];
    }
    if (stays) {
      const i32 to = before + i32(__popc(int(mask & ((1u << lane) - 1))));
      call.sample_left[to] = call.sample[row];
      call.row_left[to] = row;
    }
    left = all;
    __syncthreads();
  }
  if (t == 0) *call.count_left = left;
}

constexpr int kBlock = 256;

template <class T, int n>
__global__ void __launch_bounds__(kBlock) gather(ExitGatherCallT<T> call) {
  const i64 row = blockIdx.x;
  if (row >= *call.count) return;
  const T* const from = call.x + i64(call.row[row]) * call.length;
  T* const to = call.y + row * call.length;
  for (i64 i = (i64(blockIdx.y) * kBlock + threadIdx.x) * n; i < call.length;
       i += i64(gridDim.y) * kBlock * n)
    store<n>(to + i, load<n>(from + i));
}

__global__ void start(i64 batch, i32* count, i32* sample) {
  const i64 i = i64(blockIdx.x) * kBlock + threadIdx.x;
  if (i < batch) sample[i] = i32(i);
  if (i == 0) *count = i32(batch);
}

template <class T>
void run_gather(Exec& exec, const ExitGatherCallT<T>& call) {
  constexpr const char* kRow = "exit_gather/any/cuda";
  const i64 moved = 4 * call.batch * call.length;  // at most
  if (!note(exec, kRow, {{"batch", call.batch}, {"length", call.length}},
            Cost{.bytes_read = moved, .bytes_written = moved}))
    return;
  constexpr int n = kWide<T>;
  const bool wide = aligned_for(call.x, call.length, n) && aligned_for(call.y, call.length, n);
  const i64 blocks = std::min(ceil_div(call.length, i64(kBlock) * (wide ? n : 1) * 2), i64{1024});
  // Rows along x: y ends at 65,535.
  launch(*exec.gpu(), {.op = kRow, .grid = call.batch, .block = kBlock, .grid_y = blocks},
         wide ? gather<T, n> : gather<T, 1>, call);
}
template <class T>
void run_select(Exec& exec, const ExitSelectCallT<T>& call) {
  constexpr const char* kRow = "exit_select/any/cuda";
  if (!note(exec, kRow,
            {{"batch", call.batch},
             {"outputs", call.outputs},
             {"measure", i64(call.measure)},
             {"cascade", call.cascade},
             {"exit", call.exit}},
            Cost{.bytes_read = 4 * call.batch * call.outputs, .bytes_written = 12 * call.batch}))
    return;
  launch(*exec.gpu(), {.op = kRow, .grid = 1, .block = kThreads}, select<T>, call);
}

}  // namespace

void exit_select(Exec& exec, const ExitSelectCallT<float>& call) { run_select(exec, call); }
void exit_select(Exec& exec, const ExitSelectCallT<Bf16>& call) { run_select(exec, call); }
void exit_gather(Exec& exec, const ExitGatherCallT<float>& call) { run_gather(exec, call); }
void exit_gather(Exec& exec, const ExitGatherCallT<Bf16>& call) { run_gather(exec, call); }
void exit_start(Exec& exec, i64 batch, i32* count, i32* sample) {
  constexpr const char* kRow = "exit_start/any/cuda";
  if (!note(exec, kRow, {{"batch", batch}}, Cost{.bytes_written = 4 * (batch + 1)})) return;
  launch(*exec.gpu(), {.op = kRow, .grid = ceil_div(batch, kBlock), .block = kBlock}, start,
         batch, count, sample);
}

}  // namespace offramp::kernels::cuda
