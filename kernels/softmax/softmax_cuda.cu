// Device rows of softmax and the single losses: a warp for each row.
#include "kernels/cuda/problem.h"
#include "kernels/cuda/reduce.h"
#include "kernels/softmax/softmax.h"
#include "kernels/softmax/softmax_device.h"

namespace offramp::kernels {
namespace cuda {
namespace {

constexpr int kBlock = 256, kRowsOfBlock = kBlock / 32;

template <class T>
__global__ void softmax_rows(SoftmaxCallT<T> call) {
  const int lane = int(threadIdx.x) % 32;
  const i64 row = i64(blockIdx.x) * kRowsOfBlock + threadIdx.x / 32, classes = call.dims.classes;
  if (row >= call.dims.rows) return;
  const T* const x = call.x + row * classes;
  const RowSoftmax s = row_softmax(x, classes, 1.0f, lane);
  const float log_sum = logf(s.sum);
  for (i64 j = lane; j < classes; j += 32) {
    const float shifted = to_float(x[j]) - s.most;
    call.y[row * classes + j] = T(call.dims.log ? shifted - log_sum : expf(shifted) / s.sum);
  }
}

template <class T>
__global__ void softmax_grad_rows(SoftmaxGradCallT<T> call) {
  const int lane = int(threadIdx.x) % 32;
  const i64 row = i64(blockIdx.x) * kRowsOfBlock + threadIdx.x / 32, classes = call.dims.classes;
  if (row >= call.dims.rows) return;
  const T *const y = call.y + row * classes, *const gy = call.gy + row * classes;
  float sum = 0;
  for (i64 j = lane; j < classes; j += 32)
    sum += call.dims.log ? to_float(gy[j]) : to_float(gy[j]) * to_float(y[j]);
  sum = warp_sum(sum);
  for (i64 j = lane; j < classes; j += 32)
    call.gx[row * classes + j] = T(call.dims.log ? to_float(gy[j]) - expf(to_float(y[j])) * sum
                                                 : to_float(y[j]) * (to_float(gy[j]) - sum));
}

// Mean of the rows' losses: row(index, lane) gives one, every block a part.
template <class Row>
__global__ void mean_loss(Row row, i64 rows, Parts parts, float* loss) {
  const i64 i = i64(blockIdx.x) * kRowsOfBlock + threadIdx.x / 32;
  const float value = i < rows ? row(i, int(threadIdx.x) % 32) : 0.0f;
  const float sum = block_sum(threadIdx.x % 32 == 0 ? value : 0.0f);
  if (!loss) return;
  if (threadIdx.x == 0) parts.part[i64(blockIdx.x) * parts.length] = sum;
  const float* total;
  if (combine_parts<AddParts>(parts, 0, int(blockIdx.x), 1, &total) && threadIdx.x == 0)
    *loss = *total / float(rows);
}

template <class Row>
void launch_loss(Gpu& gpu, const char* op, const Row& row, i64 rows, float* loss) {
  const i64 blocks = ceil_div(rows, kRowsOfBlock);
  Parts parts = parts_of(int(blocks), 1);
  place_parts(parts, 1, gpu.scratch(parts_floats(parts, 1)), gpu.tickets());
  launch(gpu, {.op = op, .grid = blocks, .block = kBlock}, mean_loss<Row>, row, rows, parts, loss);
}

template <class T>
struct CrossEntropyRow {
  CrossEntropyCallT<T> call;
  __device__ float operator()(i64 row, int lane) const {
    const float scale = call.upstream / float(call.rows);
    T* const gx = call.gx ? call.gx + row * call.classes : nullptr;
    return row_cross_entropy(call.x + row * call.classes, call.classes, call.target[row],
                             call.label_smoothing, lane, [&](i64 j, float g) {
                               if (gx) gx[j] = T(scale * g);
                             });
  }
};
template <class T>
struct KlDivRow {
  KlDivCallT<T> call;
  __device__ float operator()(i64 row, int lane) const {
    const float scale = call.upstream / float(call.rows);
    T* const gx = call.gx ? call.gx + row * call.classes : nullptr;
    return row_kl_div(call.x + row * call.classes, call.teacher + row * call.classes, call.classes,
                      call.temperature, lane, [&](i64 j, float g) {
                        if (gx) gx[j] = T(scale * g);
                      });
  }
};

template <class T>
void run(Exec& exec, const SoftmaxCallT<T>& call) {
  constexpr const char* kRow = "softmax/any/cuda";
  if (!note(exec, kRow, call.dims, softmax_cost(call.dims))) return;
  launch(*exec.gpu(), {.op = kRow, .grid = ceil_div(call.dims.rows, kRowsOfBlock), .block = kBlock},
         softmax_rows<T>, call);
}
template <class T>
void run_grad(Exec& exec, const SoftmaxGradCallT<T>& call) {
  constexpr const char* kRow = "softmax_grad/any/cuda";
  if (!note(exec, kRow, call.dims, softmax_grad_cost(call.dims))) return;
  launch(*exec.gpu(), {.op = kRow, .grid = ceil_div(call.dims.rows, kRowsOfBlock), .block = kBlock},
         softmax_grad_rows<T>, call);
}
template <class T>
void run(Exec& exec, const CrossEntropyCallT<T>& call) {
  constexpr const char* kRow = "cross_entropy/any/cuda";
  if (note(exec, kRow, {{"rows", call.rows}, {"classes", call.classes}},
           cross_entropy_cost(call.rows, call.classes)))
    launch_loss(*exec.gpu(), kRow, CrossEntropyRow<T>{call}, call.rows, call.loss);
}
template <class T>
void run(Exec& exec, const KlDivCallT<T>& call) {
  constexpr const char* kRow = "kl_div/any/cuda";
  if (note(exec, kRow, {{"rows", call.rows}, {"classes", call.classes}},
           kl_div_cost(call.rows, call.classes)))
    launch_loss(*exec.gpu(), kRow, KlDivRow<T>{call}, call.rows, call.loss);
}

}  // namespace

void softmax(Exec& exec, const SoftmaxCall& call) { run(exec, call); }
void softmax_grad(Exec& exec, const SoftmaxGradCall& call) { run_grad(exec, call); }
void cross_entropy(Exec& exec, const CrossEntropyCall& call) { run(exec, call); }
void kl_div(Exec& exec, const KlDivCall& call) { run(exec, call); }

}  // namespace cuda

void softmax(Exec& exec, const SoftmaxCallT<Bf16>& call) { cuda::run(exec, call); }
void softmax_grad(Exec& exec, const SoftmaxGradCallT<Bf16>& call) { cuda::run_grad(exec, call); }
void cross_entropy(Exec& exec, const CrossEntropyCallT<Bf16>& call) { cuda::run(exec, call); }
void kl_div(Exec& exec, const KlDivCallT<Bf16>& call) { cuda::run(exec, call); }

}  // namespace offramp::kernels
