#include "kernels/act/act_rows.h"
#include "kernels/vec/avx2.h"
// after Vec
#include "kernels/vec/act.inc"
// after the activations
#include "kernels/act/act_slope.inc"
// after their slopes
#include "kernels/act/body.inc"

namespace offramp::kernels {

void act_avx2(const ActCall& call, i64 begin, i64 end) { with_act(call.dims.act, ActBody{call, begin, end}); }

void act_grad_avx2(const ActGradCall& call, i64 begin, i64 end) {
  with_act(call.dims.act, ActGradBody{call, begin, end});
}

}  // namespace offramp::kernels
