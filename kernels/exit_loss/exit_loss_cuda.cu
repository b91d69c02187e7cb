// Device row of the exits' loss: one launch, a warp for each sample.
#include "kernels/cuda/problem.h"
#include "kernels/cuda/reduce.h"
#include "kernels/exit_loss/exit_loss.h"
#include "kernels/softmax/softmax.h"
#include "kernels/softmax/softmax_device.h"

namespace offramp::kernels {
namespace cuda {
namespace {

constexpr int kBlock = 256, kRowsOfBlock = kBlock / 32;

template <class T>
__global__ void all_exits(ExitLossCallT<T> call, Parts parts) {
  const int lane = int(threadIdx.x) % 32;
  const i64 row = i64(blockIdx.x) * kRowsOfBlock + threadIdx.x / 32, at = row * call.classes;
  float loss = 0;
  if (row < call.rows)
    for (int e = 0; e < call.exits; ++e) {
      const ExitTermT<T>& term = call.exit[e];
      T* const gx = term.gx ? term.gx + at : nullptr;
      const float labels = term.of_labels / float(call.rows), taught = term.of_teacher / float(call.rows);
      const bool by_labels = term.of_labels != 0 || term.of_teacher == 0;
      if (by_labels)
        loss += term.of_labels * row_cross_entropy(term.x + at, call.classes, call.target[row],
                                                   call.label_smoothing, lane, [&](i64 j, float g) {
                                                     if (gx) gx[j] = T(labels * g);
                                                   });
      if (term.of_teacher != 0)
        loss += term.of_teacher * row_kl_div(term.x + at, term.teacher + at, call.classes, call.temperature,
                                             lane, [&](i64 j, float g) {
                                               if (gx)
                                                 gx[j] = T((by_labels ? to_float(gx[j]) : 0.0f) + taught * g);
                                             });
    }
  const float sum = block_sum(lane == 0 ? loss : 0.0f);
  if (threadIdx.x == 0) parts.part[i64(blockIdx.x) * parts.length] = sum;
  const float* total;
  if (combine_parts<AddParts>(parts, 0, int(blockIdx.x), 1, &total) && threadIdx.x == 0)
    *call.loss = *total / float(call.rows);
}

template <class T>
void run(Exec& exec, const ExitLossCallT<T>& call) {
  constexpr const char* kRow = "exit_loss/any/cuda";
  Cost cost;
  for (int e = 0; e < call.exits; ++e) {
    cost += cross_entropy_cost(call.rows, call.classes);
    if (call.exit[e].of_teacher != 0) cost += kl_div_cost(call.rows, call.classes);
  }
  if (!note(exec, kRow, {{"rows", call.rows}, {"classes", call.classes}, {"exits", call.exits}}, cost))
    return;
  Gpu& gpu = *exec.gpu();
  const i64 blocks = ceil_div(call.rows, kRowsOfBlock);
  Parts parts = parts_of(int(blocks), 1);
  place_parts(parts, 1, gpu.scratch(parts_floats(parts, 1)), gpu.tickets());
  launch(gpu, {.op = kRow, .grid = blocks, .block = kBlock}, all_exits<T>, call, parts);
}

}  // namespace

void exit_loss(Exec& exec, const ExitLossCall& call) { run(exec, call); }

}  // namespace cuda

void exit_loss(Exec& exec, const ExitLossCallT<Bf16>& call) { cuda::run(exec, call); }

}  // namespace offramp::kernels
