#include "kernels/resize/resize_rows.h"
#include "kernels/vec/portable.h"

#include "kernels/resize/body.inc"

namespace offramp::kernels {

void resize_portable(const ResizeCall& call, ResizeAxis rows, ResizeAxis cols, i64 begin, i64 end,
                     float* line) {
  resize_rows(call, rows, cols, begin, end, line);
}
void resize_grad_portable(const ResizeGradCall& call, ResizeAxis rows, ResizeAxis cols, i64 begin, i64 end,
                          float* line) {
  resize_grad_samples(call, rows, cols, begin, end, line);
}

}  // namespace offramp::kernels
