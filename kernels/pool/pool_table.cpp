// THE LIST: rows of the pooling family, best first, the general row last.
#include <array>

#include "kernels/pool/pool.h"
#include "kernels/pool/pool_rows.h"

namespace offramp::kernels {
namespace {

constexpr bool any(const PoolDims&) { return true; }
constexpr bool any_global(const GlobalPoolDims&) { return true; }

constexpr auto kForward = std::to_array<PoolRow<PoolDims, PoolCall>>({
    {"pool/any/avx512", Target::avx512, any, pool_avx512},
    {"pool/any/avx2", Target::avx2, any, pool_avx2},
    {"pool/any/portable", Target::portable, any, pool_portable},
});
constexpr auto kGrad = std::to_array<PoolRow<PoolDims, PoolGradCall>>({
    {"pool_grad/any/avx512", Target::avx512, any, pool_grad_avx512},
    {"pool_grad/any/avx2", Target::avx2, any, pool_grad_avx2},
    {"pool_grad/any/portable", Target::portable, any, pool_grad_portable},
});
constexpr auto kGlobal = std::to_array<PoolRow<GlobalPoolDims, GlobalAvgPoolCall>>({
    {"global_avg_pool/any/avx512", Target::avx512, any_global, global_avg_pool_avx512},
    {"global_avg_pool/any/avx2", Target::avx2, any_global, global_avg_pool_avx2},
    {"global_avg_pool/any/portable", Target::portable, any_global, global_avg_pool_portable},
});
constexpr auto kGlobalGrad = std::to_array<PoolRow<GlobalPoolDims, GlobalAvgPoolGradCall>>({
    {"global_avg_pool_grad/any/avx512", Target::avx512, any_global, global_avg_pool_grad_avx512},
    {"global_avg_pool_grad/any/avx2", Target::avx2, any_global, global_avg_pool_grad_avx2},
    {"global_avg_pool_grad/any/portable", Target::portable, any_global, global_avg_pool_grad_portable},
});

}  // namespace

std::span<const PoolRow<PoolDims, PoolCall>> pool_table() { return kForward; }
std::span<const PoolRow<PoolDims, PoolGradCall>> pool_grad_table() { return kGrad; }
std::span<const PoolRow<GlobalPoolDims, GlobalAvgPoolCall>> global_avg_pool_table() { return kGlobal; }
std::span<const PoolRow<GlobalPoolDims, GlobalAvgPoolGradCall>> global_avg_pool_grad_table() {
  return kGlobalGrad;
}

}  // namespace offramp::kernels
