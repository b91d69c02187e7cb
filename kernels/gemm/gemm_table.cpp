// The list of gemm rows, the choice among them, and the doors.
#include <array>
#include <string>

#include "kernels/cuda/built.h"
#include "kernels/error.h"
#include "kernels/gemm/gemm.h"
#include "kernels/gemm/gemm_ref.h"
#include "kernels/gemm/gemm_rows.h"
#include "kernels/gemm/tile_engine.h"
#include "kernels/recorder.h"

namespace offramp::kernels {
namespace {

bool any(const GemmDims&) { return true; }

template <Target target>
void tiles(Exec& exec, const GemmCall& call) {
  gemm_tiles(exec, call, tile_engine(target));
}

constexpr auto kKernels = std::to_array<GemmKernel>({
#if defined(__x86_64__)
  {"gemm/tiles/avx512", Target::avx512, true, any, tiles<Target::avx512>},
      {"gemm/tiles/avx2", Target::avx2, true, any, tiles<Target::avx2>},
#endif
#if defined(OFFRAMP_HAS_OPENBLAS)
      {"gemm/openblas/portable", Target::portable, false, any, gemm_openblas},
#endif
      {"gemm/any/portable", Target::portable, true, any, tiles<Target::portable>},
});

}  // namespace

std::span<const GemmKernel> gemm_kernels() { return kKernels; }

const GemmKernel& select_gemm(const GemmDims& dims, Target target) {
  for (const GemmKernel& row : kKernels)
    if (row.selectable && row.target <= target && row.accepts(dims)) return row;
  return kKernels.back();
}

void require_gemm(const GemmDims& d) {
  const auto shape = [&] {
    return "m " + std::to_string(d.m) + ", n " + std::to_string(d.n) + ", k " + std::to_string(d.k);
  };
  if (d.m < 1 || d.n < 1 || d.k < 1) throw input_error("gemm wants every dimension >= 1, got " + shape());
  constexpr i64 kMost = i64{1} << 40;
  const auto too_large = [](i64 a, i64 b) { return a > (kMost - 1) / b; };
  if (too_large(d.m, d.k) || too_large(d.n, d.k) || too_large(d.m, d.n))
    throw input_error("gemm wants operands of less than 2^40 elements, got " + shape());
}

void gemm(Exec& exec, const GemmCallT<float>& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::gemm(exec, call);
  const GemmKernel& row = select_gemm(call.dims, exec.target());
  if (!note(exec, row.name, gemm_cost(call.dims), call)) return;
  row.run(exec, call);
}

void gemm(Exec& exec, const GemmCallT<double>& call) {
  if (!note(exec, "gemm/reference/double", gemm_cost(call.dims))) return;
  gemm_ref(call);
}

i64 gemm_packed_floats(const GemmDims& dims, Target target) {
  return packed_floats(tile_engine(target), dims.n, dims.k);
}

void gemm_pack(const GemmDims& dims, Target target, const float* b, i64 b_col, i64 b_k, float* packed) {
  gemm_pack(dims, tile_engine(target), b, b_col, b_k, packed);
}

}  // namespace offramp::kernels
