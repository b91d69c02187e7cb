// Scale and projection of a block in one product: of large batches, whose hidden tensors pass through memory.
#include "kernels/cuda/gemm_kernels.h"
#include "kernels/cuda/problem.h"
#include "kernels/mbconv/mbconv.h"

namespace offramp::kernels {
namespace cuda {
namespace {

// x [rows][channels] times the gate of the row's sample.
template <class T>
struct ScaledSide : PlainSide {
  struct Raw {
    Eight<T> x, gate;
  };
  const T *x, *gate;
  i64 rows, channels;
  Divisor hw;
  bool wide;

  __device__ __forceinline__ Raw fetch(int row, int c) const {
    const int count = row < int(rows) ? lanes_in(c, int(channels)) : 0;
    return {cuda::fetch(element(x, row, channels, c), wide, count),
            cuda::fetch(element(gate, hw.quotient(row), channels, c), wide, count)};
  }
  __device__ __forceinline__ Floats<kLanes> finish(const Raw& raw, const float*, int) const {
    Floats<kLanes> v = values(raw.x);
    const Floats<kLanes> by = values(raw.gate);
#pragma unroll
    for (int i = 0; i < kLanes; ++i) v.v[i] *= by.v[i];
    return v;
  }
};

template <class T>
void run(Exec& exec, const ScaledProjectCallT<T>& call) {
  constexpr const char* kRow = "scaled_project/any/cuda";
  const i64 rows = call.n * call.hw;
  const Cost cost{.macs = rows * call.mid * call.c_out,
                  .other_ops = rows * call.mid,
                  .bytes_read = 4 * (rows * call.mid + call.n * call.mid + call.mid * call.c_out),
                  .bytes_written = 4 * rows * call.c_out};
  if (!note(exec, kRow, {{"n", call.n}, {"hw", call.hw}, {"mid", call.mid}, {"c_out", call.c_out}}, cost))
    return;
  const ScaledSide<T> x{{},
                        call.x,
                        call.gate,
                        rows,
                        call.mid,
                        Divisor(call.hw),
                        wide_rows(call.x, call.mid) && wide_rows(call.gate, call.mid)};
  with_math<T>(exec, [&](auto math) {
    product_by_rows<decltype(math), true>(
        *exec.gpu(), kRow, x, rows_side(call.project.w, call.c_out, call.mid, call.mid),
        store_epilogue<T>(call.y, call.c_out, call.c_out, call.project.bias, call.residual, call.project.act),
        rows, call.c_out, call.mid);
  });
}

}  // namespace
}  // namespace cuda

void scaled_project(Exec& exec, const ScaledProjectCallT<float>& call) { cuda::run(exec, call); }
void scaled_project(Exec& exec, const ScaledProjectCallT<Bf16>& call) { cuda::run(exec, call); }

}  // namespace offramp::kernels
