// The rows of the gemm table.
#pragma once
#include "kernels/exec.h"
#include "kernels/gemm/gemm_call.h"
#include "kernels/gemm/tiles.h"

namespace offramp::kernels {

// Register tiles over packed panels of b (tiles.h). Also the 1x1 convolution.
void gemm_pack(const GemmDims& dims, const TileEngine& engine, const float* b, i64 b_col, i64 b_k,
               float* packed);
void gemm_tiles(Exec& exec, const GemmCall& call, const TileEngine& engine);

// OpenBLAS (cblas_sgemm), its threads set to one; only in builds with OFFRAMP_OPENBLAS.
void gemm_openblas(Exec& exec, const GemmCall& call);

namespace cuda {
// cuBLAS; only in builds with OFFRAMP_CUBLAS. T: float, Bf16.
template <class T>
void gemm_cublas(Exec& exec, const GemmCallT<T>& call);
}  // namespace cuda

}  // namespace offramp::kernels
