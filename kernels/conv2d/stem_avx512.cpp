#include "kernels/conv2d/conv2d_rows.h"
#include "kernels/vec/avx512.h"

namespace offramp::kernels {
namespace {
constexpr int kStemPixels[] = {0, 16, 12, 8};
}  // namespace
}  // namespace offramp::kernels

#include "kernels/conv2d/stem.inc"

namespace offramp::kernels {
void conv2d_stem_avx512(const Conv2dCall& call, const float* packed, float* lines, i64 begin, i64 end) {
  stem_units(call, packed, lines, begin, end);
}
}  // namespace offramp::kernels
