#include "kernels/norm/norm_rows.h"
#include "kernels/vec/portable.h"
// after Vec
#include "kernels/vec/act.inc"
// after the activations
#include "kernels/act/act_slope.inc"
// after their slopes
#include "kernels/norm/body.inc"

namespace offramp::kernels {

void norm_apply_portable(const NormApply& w, i64 begin, i64 end) {
  with_act(w.act, ApplyBody{w, begin, end});
}
void norm_statistics_portable(const NormStatistics& w, i64 begin, i64 end) { statistics(w, begin, end); }
void norm_sums_portable(const NormBackward& w, i64 begin, i64 end) {
  with_act(w.act, SumsBody{w, begin, end});
}
void norm_gx_portable(const NormBackward& w, i64 begin, i64 end) { with_act(w.act, GxBody{w, begin, end}); }

}  // namespace offramp::kernels
