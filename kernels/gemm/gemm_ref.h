// Reference gemm: the oracle of the family, on any scalar.
#pragma once
#include "kernels/act/act_ref.h"
#include "kernels/gemm/gemm_call.h"

namespace offramp::kernels {

template <class T>
void gemm_ref(const GemmCallT<T>& call) {
  const GemmDims& d = call.dims;
  for (i64 i = 0; i < d.m; ++i)
    for (i64 j = 0; j < d.n; ++j) {
      T sum(0);
      for (i64 p = 0; p < d.k; ++p)
        sum += call.a[i * call.a_row + p * call.a_k] * call.b[j * call.b_col + p * call.b_k];
      if (call.bias) sum += call.bias[j];
      if (call.residual) sum += call.residual[i * call.c_row + j];
      call.c[i * call.c_row + j] = call.act == Act::none ? sum : apply_act(call.act, sum);
    }
}

}  // namespace offramp::kernels
