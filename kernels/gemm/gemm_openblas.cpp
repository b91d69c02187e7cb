// OpenBLAS as a row of gemm; compiled only with OFFRAMP_OPENBLAS. Run by name, never selected: the order of
// its sums may depend on m.
#if defined(OFFRAMP_HAS_OPENBLAS)
#include <cblas.h>

#include <algorithm>
#include <limits>

#include "kernels/error.h"
#include "kernels/gemm/gemm_ref.h"
#include "kernels/gemm/gemm_rows.h"
#include "kernels/parallel.h"

namespace offramp::kernels {

void gemm_openblas(Exec& exec, const GemmCall& call) {
  const GemmDims& d = call.dims;
  for (i64 size : {d.m, d.n, d.k, call.a_row, call.a_k, call.b_col, call.b_k, call.c_row})
    if (size > std::numeric_limits<int>::max()) throw input_error("gemm/openblas wants sizes below 2^31");
  // Threads are ours: the library must not start its own.
  static const bool single = (openblas_set_num_threads(1), true);
  (void)single;

  if (call.residual && call.residual != call.c)
    for (i64 i = 0; i < d.m; ++i) std::copy_n(call.residual + i * call.c_row, d.n, call.c + i * call.c_row);
  constexpr i64 kRows = 256;
  parallel_for(exec, d.m, kRows, [&](i64 begin, i64 end, int) {
    const bool a_lies = call.a_k == 1, b_turned = call.b_k == 1;
    cblas_sgemm(CblasRowMajor, a_lies ? CblasNoTrans : CblasTrans, b_turned ? CblasTrans : CblasNoTrans,
                int(end - begin), int(d.n), int(d.k), 1.0f, call.a + begin * call.a_row,
                int(a_lies ? std::max(call.a_row, d.k) : std::max(call.a_k, d.m)), call.b,
                int(b_turned ? std::max(call.b_col, d.k) : std::max(call.b_k, d.n)),
                call.residual ? 1.0f : 0.0f, call.c + begin * call.c_row, int(call.c_row));
    if (!call.bias && call.act == Act::none) return;
    for (i64 i = begin; i < end; ++i)
      for (i64 j = 0; j < d.n; ++j) {
        float& c = call.c[i * call.c_row + j];
        c = apply_act(call.act, call.bias ? c + call.bias[j] : c);
      }
  });
}

}  // namespace offramp::kernels
#endif
