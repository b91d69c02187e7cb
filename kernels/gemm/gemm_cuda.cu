// Device row of gemm.
#include "kernels/cuda/gemm_kernels.h"
#include "kernels/gemm/gemm.h"
#include "kernels/recorder.h"

namespace offramp::kernels {
namespace cuda {
namespace {

template <class T>
StridedSide<T> side_of(const T* p, i64 rows, i64 k, i64 row_step, i64 k_step) {
  return {{}, p, rows, k, row_step, k_step, k_step == 1 && wide_rows(p, k) && row_step % kLanes == 0};
}

template <class T>
void run(Exec& exec, const GemmCallT<T>& call) {
  constexpr const char* kRow = "gemm/any/cuda";
  const GemmDims& d = call.dims;
  if (!note(exec, kRow, gemm_cost(d))) return;
  with_math<T>(exec, [&](auto math) {
    product_by_rows<decltype(math), true>(
        *exec.gpu(), kRow, side_of(call.a, d.m, d.k, call.a_row, call.a_k),
        side_of(call.b, d.n, d.k, call.b_col, call.b_k),
        store_epilogue<T>(call.c, d.n, call.c_row, call.bias, call.residual, call.act), d.m, d.n, d.k);
  });
}

}  // namespace

void gemm(Exec& exec, const GemmCall& call) { run(exec, call); }

}  // namespace cuda

void gemm(Exec& exec, const GemmCallT<Bf16>& call) { cuda::run(exec, call); }

}  // namespace offramp::kernels
