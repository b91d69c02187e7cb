#include "kernels/resize/resize_rows.h"
#include "kernels/vec/avx512.h"

#include "kernels/resize/body.inc"

namespace offramp::kernels {

void resize_avx512(const ResizeCall& call, ResizeAxis rows, ResizeAxis cols, i64 begin, i64 end,
                   float* line) {
  resize_rows(call, rows, cols, begin, end, line);
}
void resize_grad_avx512(const ResizeGradCall& call, ResizeAxis rows, ResizeAxis cols, i64 begin, i64 end,
                        float* line) {
  resize_grad_samples(call, rows, cols, begin, end, line);
}

}  // namespace offramp::kernels
