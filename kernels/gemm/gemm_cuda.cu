// Device rows of gemm, the list of them and the choice.
#include <array>

#include "kernels/cuda/gemm_kernels.h"
#include "kernels/cuda/problem.h"
#include "kernels/gemm/gemm.h"
#include "kernels/gemm/gemm_rows.h"

namespace offramp::kernels {
namespace cuda {
namespace {

template <class T>
StridedSide<T> side_of(const T* p, i64 rows, i64 k, i64 row_step, i64 k_step) {
  return {{}, p, rows, k, row_step, k_step, k_step == 1 && wide_rows(p, k) && row_step % kLanes == 0};
}

constexpr const char* kAny = "gemm/any/cuda";

template <class T>
void any(Exec& exec, const GemmCallT<T>& call) {
  const GemmDims& d = call.dims;
  with_math<T>(exec, [&](auto math) {
    product_by_rows<decltype(math), true>(
        *exec.gpu(), kAny, side_of(call.a, d.m, d.k, call.a_row, call.a_k),
        side_of(call.b, d.n, d.k, call.b_col, call.b_k),
        store_epilogue<T>(call.c, d.n, call.c_row, call.bias, call.residual, call.act), d.m, d.n, d.k);
  });
}

template <class T>
constexpr auto kRows = std::to_array<GemmRow<T>>({
#if defined(OFFRAMP_HAS_CUBLAS)
    {"gemm/cublas/cuda", false, gemm_cublas<T>},
#endif
    {kAny, true, any<T>},
});

template <class T>
void door(Exec& exec, const GemmCallT<T>& call) {
  for (const GemmRow<T>& row : kRows<T>) {
    if (!row.selectable) continue;
    if (note(exec, row.name, call.dims, gemm_cost(call.dims))) row.run(exec, call);
    return;
  }
}

}  // namespace

template <class T>
std::span<const GemmRow<T>> gemm_rows() {
  return kRows<T>;
}
template std::span<const GemmRow<float>> gemm_rows();
template std::span<const GemmRow<Bf16>> gemm_rows();

void gemm(Exec& exec, const GemmCall& call) { door(exec, call); }

}  // namespace cuda

void gemm(Exec& exec, const GemmCallT<Bf16>& call) { cuda::door(exec, call); }

}  // namespace offramp::kernels
