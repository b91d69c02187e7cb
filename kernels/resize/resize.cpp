#include "kernels/cuda/built.h"
#include "kernels/resize/resize.h"

#include <algorithm>
#include <string>

#include "kernels/error.h"
#include "kernels/parallel.h"
#include "kernels/recorder.h"
#include "kernels/resize/resize_ref.h"
#include "kernels/select.h"

namespace offramp::kernels {
namespace {

// Units a chunk takes: about 64 thousand operations, a few microseconds.
i64 grain_of(i64 ops_per_unit) { return std::max<i64>(1, 65536 / std::max<i64>(1, ops_per_unit)); }

struct Axes {
  ResizeAxis rows, cols;
};

// Fills the shared scratch with the coefficients of both axes.
Axes make_axes(Exec& exec, const ResizeDims& d) {
  const i64 taps = resize_taps(d.kind), count = (d.out_h + d.out_w) * taps;
  static_assert(sizeof(i32) == sizeof(float));
  float* weight = exec.shared_scratch(2 * count);
  i32* index = reinterpret_cast<i32*>(weight + count);
  i64 at = 0;
  const auto fill = [&](i64 in, i64 out) {
    for (i64 position = 0; position < out; ++position) {
      const ResizeTaps coefficients = resize_taps_at(d.kind, in, out, position);
      for (i64 t = 0; t < taps; ++t, ++at) {
        weight[at] = float(coefficients.weight[t]);
        index[at] = i32(coefficients.index[t]);
      }
    }
  };
  fill(d.h, d.out_h);
  fill(d.w, d.out_w);
  return {.rows = {index, weight}, .cols = {index + d.out_h * taps, weight + d.out_h * taps}};
}

}  // namespace

void require_resize(const ResizeDims& d) {
  const auto fits = [](i64 size) { return size >= 1 && size <= (i64{1} << 30); };
  if (fits(d.n) && fits(d.h) && fits(d.w) && fits(d.c) && fits(d.out_h) && fits(d.out_w)) return;
  throw input_error("resize: wanted positive sizes, got x [" + std::to_string(d.n) + "," +
                    std::to_string(d.h) + "," + std::to_string(d.w) + "," + std::to_string(d.c) + "] to " +
                    std::to_string(d.out_h) + "x" + std::to_string(d.out_w));
}

void resize(Exec& exec, const ResizeCall& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::resize(exec, call);
  const ResizeDims& d = call.dims;
  const auto& row = select_row(resize_table(), exec.target(), d);
  if (!note(exec, row.name, resize_cost(d), call)) return;
  const Axes axes = make_axes(exec, d);
  parallel_for(exec, d.n * d.out_h, grain_of(d.out_w * d.c * resize_taps(d.kind)),
               [&](i64 begin, i64 end, int worker) {
                 row.run(call, axes.rows, axes.cols, begin, end, exec.worker_scratch(worker, d.w * d.c));
               });
}

void resize_grad(Exec& exec, const ResizeGradCall& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::resize_grad(exec, call);
  const ResizeDims& d = call.dims;
  const auto& row = select_row(resize_grad_table(), exec.target(), d);
  if (!note(exec, row.name, resize_grad_cost(d))) return;
  const Axes axes = make_axes(exec, d);
  parallel_for(exec, d.n, grain_of(d.out_h * d.out_w * d.c * resize_taps(d.kind)),
               [&](i64 begin, i64 end, int worker) {
                 row.run(call, axes.rows, axes.cols, begin, end, exec.worker_scratch(worker, d.w * d.c));
               });
}

void resize(Exec& exec, const ResizeCallT<double>& call) {
  if (note(exec, "resize/reference/double", resize_cost(call.dims))) resize_ref(call);
}
void resize_grad(Exec& exec, const ResizeGradCallT<double>& call) {
  if (note(exec, "resize_grad/reference/double", resize_grad_cost(call.dims))) resize_grad_ref(call);
}

}  // namespace offramp::kernels
