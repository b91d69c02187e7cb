// What a latency table is keyed by: the recorded call. Target, threads and batch are the table's.
#pragma once
#include <string>

#include "nn/plan/calls.h"

namespace offramp::nas {

// "gemm/tiles/avx512 gemm m=1 n=16 k=8 act=2 residual=1": row, dims at the batch, and what is fused in.
std::string latency_key(const nn::PlanCall& call, i64 batch = 1);

}  // namespace offramp::nas
