// Matrix product with an epilogue; linear layers are gemms with b = weights [n][k].
#pragma once
#include <span>
#include <string_view>

#include "kernels/bf16.h"
#include "kernels/cost.h"
#include "kernels/exec.h"
#include "kernels/gemm/gemm_call.h"

namespace offramp::kernels {

constexpr Cost gemm_cost(const GemmDims& d) {
  return {.macs = d.m * d.n * d.k,
          .other_ops = 0,
          .bytes_read = 4 * (d.m * d.k + d.n * d.k),
          .bytes_written = 4 * d.m * d.n};
}
static_assert(gemm_cost({.m = 2, .n = 3, .k = 5}).macs == 30);

// Throws Error(input) when a dimension is < 1 or an operand has 2^40 elements or more.
void require_gemm(const GemmDims& dims);

// c[i][j] = act(sum_p a[i][p] * b[j][p] + bias[j] + residual[i][j]); see GemmCallT for the operands.
// For one target, a row of c has the same bits whatever m, the packing and the number of threads are.
// residual may be c; no other overlap.
void gemm(Exec& exec, const GemmCallT<float>& call);
void gemm(Exec& exec, const GemmCallT<double>& call);  // the reference, for gradient checks
// On the card. Bf16 lives nowhere else.
void gemm(Exec& exec, const GemmCallT<Bf16>& call);
namespace cuda {
void gemm(Exec& exec, const GemmCallT<float>& call);

// One row of the card's table, T float or Bf16; every row takes any dims. The door takes the first that is
// selectable. Operands are device memory.
template <class T>
struct GemmRow {
  std::string_view name;
  bool selectable;                          // false: run by name only
  void (*run)(Exec&, const GemmCallT<T>&);  // records nothing
};
template <class T>
std::span<const GemmRow<T>> gemm_rows();
}  // namespace cuda

// Packing b for a target, once per weight version; the size does not depend on m.
// `packed` may be unaligned; 64-byte alignment is faster.
i64 gemm_packed_floats(const GemmDims& dims, Target target);
void gemm_pack(const GemmDims& dims, Target target, const float* b, i64 b_col, i64 b_k, float* packed);

// One row of the table: a way to compute a gemm.
struct GemmKernel {
  std::string_view name;  // "gemm/variant/target"
  Target target;
  bool selectable;  // false: run by name only (its bits may depend on m)
  bool (*accepts)(const GemmDims&);
  void (*run)(Exec&, const GemmCall&);  // records nothing
};
std::span<const GemmKernel> gemm_kernels();
// The row the door takes.
const GemmKernel& select_gemm(const GemmDims& dims, Target target);

}  // namespace offramp::kernels
