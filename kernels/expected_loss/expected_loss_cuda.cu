// Device row of the expected loss: one block, a thread for every so many rows. In double, as the reference;
// partial sums are added in the order of the threads.
#include "kernels/cuda/problem.h"
#include "kernels/cuda/vector.h"
#include "kernels/expected_loss/expected_loss.h"

namespace offramp::kernels {
namespace cuda {
namespace {

using namespace offramp::cuda;

constexpr int kBlock = 256;
constexpr double kClamp = 1e-4;

struct Softmax {
  i64 best;
  double most, sum;
};
template <class T>
__device__ Softmax softmax_of(const T* x, i64 classes) {
  Softmax out{0, double(to_float(x[0])), 0};
  for (i64 c = 1; c < classes; ++c)
    if (double(to_float(x[c])) > out.most) out.best = c, out.most = double(to_float(x[c]));
  for (i64 c = 0; c < classes; ++c) out.sum += exp(double(to_float(x[c])) - out.most);
  return out;
}

template <class T>
__device__ double sure(const ExpectedLossCallT<T>& call, int e, i64 s) {
  return e + 1 < call.exits ? 1 / (1 + exp(-double(to_float(call.exit[e].own[s])))) : 1.0;
}

template <class T>
__device__ double wanted(const ExpectedLossCallT<T>& call, i64 c, i64 s) {
  return call.label_smoothing / double(call.classes) + (c == call.target[s] ? 1 - call.label_smoothing : 0.0);
}

// The sum over the block's threads, in their order; every thread gets it.
__device__ double total(double value) {
  __shared__ double of_thread[kBlock];
  __syncthreads();
  of_thread[threadIdx.x] = value;
  __syncthreads();
  double sum = 0;
  for (int i = 0; i < kBlock; ++i) sum += of_thread[i];
  return sum;
}

// entropy [exits][rows]: of an exit's answer; its sign bit says that the answer is right (entropies are not
// negative).
template <class T>
__global__ void __launch_bounds__(kBlock) all_rows(ExpectedLossCallT<T> call, double* entropy) {
  const double n = double(call.rows);
  double mean_cost = 0, loss = 0, hits[kMostExits];
  for (int e = 0; e < call.exits; ++e) hits[e] = 0;
  for (i64 s = threadIdx.x; s < call.rows; s += kBlock) {
    double stay = 1;
    for (int e = 0; e < call.exits; ++e) {
      const ExpectedExitT<T>& exit = call.exit[e];
      const T* const x = exit.x + s * call.classes;
      const Softmax soft = softmax_of(x, call.classes);
      const bool right = soft.best == call.target[s];
      const double c = sure(call, e, s), p = c * stay, log_sum = log(soft.sum);
      double cross = 0;
      for (i64 k = 0; k < call.classes; ++k) {
        const double below = double(to_float(x[k])) - soft.most, aim = wanted(call, k, s);
        cross += aim * (log_sum - below);
        if (exit.gx)
          exit.gx[s * call.classes + k] = T(float(call.of_classes * p / n * (exp(below) / soft.sum - aim)));
      }
      entropy[e * call.rows + s] = right ? -cross : cross;
      hits[e] += right;
      loss += call.of_classes * p * cross / n;
      mean_cost += p * exit.cost / n;
      stay *= 1 - c;
    }
  }
  const int last = call.exits - 1;
  mean_cost = total(mean_cost);
  for (int e = 0; e < last; ++e) hits[e] = total(hits[e]);
  const double over = max(mean_cost - call.budget, 0.0),
               slope = over > 0 ? call.of_cost / max(fabs(call.exit[last].cost - call.budget), 1e-9) : 0.0;

  const double share = 1 / (n * double(max(last, 1)));
  for (i64 s = threadIdx.x; s < call.rows; s += kBlock) {
    const auto worth = [&](int e) {  // d loss / d p_e
      double w = call.of_classes * fabs(entropy[e * call.rows + s]);
      if (call.cost_gradient) w += slope * call.exit[e].cost;
      return w / n;
    };
    double beyond = worth(last);
    for (int e = last; e-- > 0;) {
      double reached = 1;
      for (int j = 0; j < e; ++j) reached *= 1 - sure(call, j, s);
      const double c = sure(call, e, s), here = worth(e), clamped = min(max(c, kClamp), 1 - kClamp);
      double g = reached * (here - beyond) * c * (1 - c);
      beyond = c * here + (1 - c) * beyond;
      const bool hit = signbit(entropy[e * call.rows + s]);
      const double weight = call.of_truth * share * n / (2 * (hit ? hits[e] : n - hits[e]));
      loss -= weight * log(hit ? clamped : 1 - clamped);
      if (clamped == c) g += weight * (c - (hit ? 1 : 0));
      const double peak = call.peaks ? call.peaks[e * call.classes + call.target[s]] : -1;
      if (peak >= 0) {
        const double off = c - peak;
        loss += call.of_peak * share * off * off;
        g += call.of_peak * share * 2 * off * c * (1 - c);
      }
      if (call.exit[e].gown) call.exit[e].gown[s] = T(float(g));
    }
  }
  loss = total(loss);
  if (threadIdx.x == 0) *call.loss = float(loss + slope * over);
}

template <class T>
void run(Exec& exec, const ExpectedLossCallT<T>& call) {
  constexpr const char* kRow = "expected_loss/any/cuda";
  if (!note(exec, kRow, {{"rows", call.rows}, {"classes", call.classes}, {"exits", call.exits}},
            expected_loss_cost(call.rows, call.classes, call.exits)))
    return;
  Gpu& gpu = *exec.gpu();
  double* const entropy = reinterpret_cast<double*>(gpu.scratch(2 * call.exits * call.rows));
  launch(gpu, {.op = kRow, .grid = 1, .block = kBlock}, all_rows<T>, call, entropy);
}

}  // namespace

void expected_loss(Exec& exec, const ExpectedLossCallT<float>& call) { run(exec, call); }

}  // namespace cuda

void expected_loss(Exec& exec, const ExpectedLossCallT<Bf16>& call) { cuda::run(exec, call); }

}  // namespace offramp::kernels
