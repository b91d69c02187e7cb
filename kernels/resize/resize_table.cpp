// THE LIST: rows of the resize family, best first, the general row last.
#include <array>

#include "kernels/resize/resize.h"

namespace offramp::kernels {
namespace {

constexpr bool any(const ResizeDims&) { return true; }

constexpr auto kForward = std::to_array<ResizeRow<ResizeCall>>({
    {"resize/any/avx512", Target::avx512, any, resize_avx512},
    {"resize/any/avx2", Target::avx2, any, resize_avx2},
    {"resize/any/portable", Target::portable, any, resize_portable},
});
constexpr auto kGrad = std::to_array<ResizeRow<ResizeGradCall>>({
    {"resize_grad/any/avx512", Target::avx512, any, resize_grad_avx512},
    {"resize_grad/any/avx2", Target::avx2, any, resize_grad_avx2},
    {"resize_grad/any/portable", Target::portable, any, resize_grad_portable},
});

}  // namespace

std::span<const ResizeRow<ResizeCall>> resize_table() { return kForward; }
std::span<const ResizeRow<ResizeGradCall>> resize_grad_table() { return kGrad; }

}  // namespace offramp::kernels
