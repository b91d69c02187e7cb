// cuBLAS as a row of the card's gemm; compiled only with OFFRAMP_CUBLAS. Run by name, never selected: a row
// of c may have other bits when m changes.
#if defined(OFFRAMP_HAS_CUBLAS)
#include <cublas_v2.h>

#include <algorithm>

#include "kernels/cuda/library_rows.h"
#include "kernels/cuda/strided.h"
#include "kernels/error.h"
#include "kernels/gemm/gemm_rows.h"

namespace offramp::kernels::cuda {
namespace {

using namespace offramp::cuda;

constexpr const char* kRow = "gemm/cublas/cuda";

void check(cublasStatus_t status, const GemmDims& d, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error("cuda: " + std::string(kRow) + " (m " + std::to_string(d.m) + ", n " + std::to_string(d.n) +
              ", k " + std::to_string(d.k) + "): " + what + ": " + cublasGetStatusString(status));
}

// Never destroyed, as the card is not.
cublasHandle_t handle(Gpu& gpu, const GemmDims& d) {
  static const cublasHandle_t made = [&] {
    cublasHandle_t h = nullptr;
    check(cublasCreate(&h), d, "handle");
    return h;
  }();
  check(cublasSetStream(made, native(gpu.stream())), d, "stream");
  return made;
}

// A matrix x[i][p] with distance 1 along one of the two, as a column-major operand: turned where p runs along
// its columns.
struct Operand {
  const void* data;
  bool p_is_contiguous;
  i64 distance;
};
Operand operand(const void* data, i64 rows, i64 k, i64 row_step, i64 k_step) {
  if (k_step == 1) return {data, true, std::max(row_step, k)};
  return {data, false, std::max(k_step, rows)};
}

}  // namespace

template <class T>
void gemm_cublas(Exec& exec, const GemmCallT<T>& call) {
  constexpr bool kHalf = std::is_same_v<T, Bf16>;
  Gpu& gpu = *exec.gpu();
  const GemmDims& d = call.dims;
  // Sums stay floats until bias and residual are added, and a residual may be c. Parameters are floats, which
  // are not multiplied by Bf16: they are converted in each call.
  const bool aside = kHalf || call.residual;
  const i64 sum_bytes = aside ? 4 * d.m * d.n : 0, weight_bytes = kHalf ? 2 * d.n * d.k : 0;
  ScratchParts parts(gpu, ScratchParts::room(sum_bytes) + ScratchParts::room(weight_bytes));
  float* sums = parts.take<float>(sum_bytes);
  Operand b = operand(call.b, d.n, d.k, call.b_col, call.b_k);
  if constexpr (kHalf) {
    Bf16* const rounded = parts.take<Bf16>(weight_bytes);
    Strided walk{.axes = 2};
    walk.extent[0] = d.n, walk.extent[1] = d.k;
    walk.to[0] = d.k, walk.to[1] = 1;
    walk.from[0] = call.b_col, walk.from[1] = call.b_k;
    strided_copy(gpu, walk, rounded, call.b);
    b = operand(rounded, d.n, d.k, d.k, 1);
  } else if (!aside) {
    sums = call.c;
  }
  const i64 sums_row = aside ? d.n : call.c_row;
  // Row-major c is a column-major n x m matrix: b times a turned.
  const Operand a = operand(call.a, d.m, d.k, call.a_row, call.a_k);
  const cudaDataType_t type = kHalf ? CUDA_R_16BF : CUDA_R_32F;
  const cublasComputeType_t compute = !kHalf && exec.math() != Math::f32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                                         : CUBLAS_COMPUTE_32F;
  const float one = 1, zero = 0;
  check(cublasGemmEx_64(handle(gpu, d), b.p_is_contiguous ? CUBLAS_OP_T : CUBLAS_OP_N,
                        a.p_is_contiguous ? CUBLAS_OP_N : CUBLAS_OP_T, d.n, d.m, d.k, &one, b.data, type,
                        b.distance, a.data, type, a.distance, &zero, sums, CUDA_R_32F, sums_row, compute,
                        CUBLAS_GEMM_DEFAULT),
        d, "product");
  add_epilogue(gpu, kRow, d.m, d.n, static_cast<const float*>(sums), sums_row, call.bias,
                              call.residual, call.act, call.c, call.c_row);
}

template void gemm_cublas(Exec&, const GemmCallT<float>&);
template void gemm_cublas(Exec&, const GemmCallT<Bf16>&);

}  // namespace offramp::kernels::cuda
#endif
