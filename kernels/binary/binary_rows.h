// Run functions of the rows: declarations only, so target files may include it.
#pragma once
#include "kernels/binary/binary_call.h"

namespace offramp::kernels {

void binary_portable(const BinaryCall& call, i64 begin, i64 end);
void binary_grad_portable(const BinaryGradCall& call, i64 begin, i64 end);
void binary_avx2(const BinaryCall& call, i64 begin, i64 end);
void binary_grad_avx2(const BinaryGradCall& call, i64 begin, i64 end);
void binary_avx512(const BinaryCall& call, i64 begin, i64 end);
void binary_grad_avx512(const BinaryGradCall& call, i64 begin, i64 end);

}  // namespace offramp::kernels
