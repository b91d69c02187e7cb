// What the doors of the family share.
#pragma once
#include <string_view>

#include "kernels/exec.h"
#include "kernels/normed/normed_call.h"
#include "kernels/normed/normed_rows.h"

namespace offramp::kernels {

// Values that a pass must have to be worth a visit to another thread.
constexpr i64 kUnitFloats = i64{1} << 14;

inline const NormedPasses& normed_passes(Target target) {
  switch (target) {
#if defined(__x86_64__)
    case Target::avx2:
      return normed_passes_avx2;
    case Target::avx512:
      return normed_passes_avx512;
#endif
    default:
      return normed_passes_portable;
  }
}

// The row name of this target.
inline std::string_view normed_row(Target target, std::string_view portable, std::string_view avx2,
                                   std::string_view avx512) {
  switch (target) {
    case Target::avx2:
      return avx2;
    case Target::avx512:
      return avx512;
    default:
      return portable;
  }
}

// `partial` holds, for each chunk of `chunk` rows, the sums and the squares of deviations from the chunk's
// first row of y [rows][c].
void finish_statistics(Exec& exec, i64 rows, i64 c, i64 chunk, const float* y, const float* partial,
                       const NormOut& out);

// `partial` holds, for each of `chunks` chunks, the sums of dz and of dz * d.
void finish_sums(Exec& exec, i64 rows, i64 c, i64 chunks, const float* partial, const float* scale,
                 const NormGradOut& out);

// The rows [row, row + rows) of `in`, formed in `scratch` (as [rows][c]); where they lie when nothing is to
// be formed.
const float* read_tile(const NormedPasses& passes, const Normed& in, i64 c, i64 hw, i64 row, i64 rows,
                       float* scratch);

NormedForm form_of(const NormedGrad& gy, i64 c, i64 row, float* out, NormedLayout out_at);

// Over rows from `row` on of [rows][c], g and dz at the first of them; sums [2][c]. Neither gated nor
// shifted.
NormedSlope slope_of(const Normed& in, i64 c, i64 row, const float* g, float* dz, float* sums);

// Rows that lie in y [rows][c] as they are, for their statistics; sums [2][c].
NormedTile statistics_of(i64 c, float* y, float* sums);

// normed_pointwise_grad without the note: also the 1x1 row of conv2d_grad.
void run_normed_pointwise_grad(Exec& exec, Target target, const NormedPointwiseGradCall& call);

constexpr NormedLayout rows_by(i64 c) { return {.row = c, .block = c, .step = c}; }

}  // namespace offramp::kernels
