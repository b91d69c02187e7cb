#include "kernels/normed/normed_rows.h"
#include "kernels/vec/avx512.h"
// after Vec
#include "kernels/vec/act.inc"
// after the activations
#include "kernels/act/act_slope.inc"
// after their slopes
#include "kernels/normed/body.inc"
#include "kernels/normed/totals.inc"
// any target
#include "kernels/normed/transpose.inc"

namespace offramp::kernels {
const NormedPasses normed_passes_avx512{.read = read_rows,
                                        .form = form_rows,
                                        .slope = slope_rows,
                                        .store = store_tile,
                                        .store_statistics = store_statistics,
                                        .fold = fold_rows,
                                        .moments = finish_moments,
                                        .sums = finish_sums,
                                        .transpose = transpose};
}  // namespace offramp::kernels
