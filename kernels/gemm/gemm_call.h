// Plain structs of matrix multiplication; a linear layer is a gemm with b = weights [n][k].
#pragma once
#include "kernels/bf16.h"
#include "kernels/types.h"

namespace offramp::kernels {

struct GemmDims {
  i64 m, n, k;
  friend constexpr bool operator==(const GemmDims&, const GemmDims&) = default;
};

// c[i][j] = act(sum_p a[i][p] * b[j][p] + bias[j] + residual[i][j]); the sum runs over p in increasing order,
// so a row of c has the same bits whatever m is. Distances are in elements; one of (a_row, a_k) is 1,
// likewise b.
template <class T>
struct GemmCallT {
  GemmDims dims;
  const T* a;
  i64 a_row, a_k;  // a[i][p] = a[i * a_row + p * a_k]
  const ParamOf<T>* b;
  i64 b_col, b_k;                      // b[j][p] = b[j * b_col + p * b_k]
  const ParamOf<T>* packed = nullptr;  // gemm_pack's result for b, or null
  const ParamOf<T>* bias = nullptr;    // [n] or null
  const T* residual = nullptr;         // [m][n] with distance c_row, or null
  Act act = Act::none;
  T* c;
  i64 c_row;  // c[i][j] = c[i * c_row + j], overwritten
};
using GemmCall = GemmCallT<float>;

}  // namespace offramp::kernels
