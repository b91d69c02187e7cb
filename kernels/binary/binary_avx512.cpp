#include "kernels/binary/binary_rows.h"
#include "kernels/vec/avx512.h"
// after Vec
#include "kernels/binary/body.inc"

namespace offramp::kernels {

void binary_avx512(const BinaryCall& call, i64 begin, i64 end) {
  call.dims.kind == BinaryKind::mul ? forward<true>(call, begin, end) : forward<false>(call, begin, end);
}

void binary_grad_avx512(const BinaryGradCall& call, i64 begin, i64 end) {
  call.dims.kind == BinaryKind::mul ? grad<true>(call, begin, end) : grad<false>(call, begin, end);
}

}  // namespace offramp::kernels
