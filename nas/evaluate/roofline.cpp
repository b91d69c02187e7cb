#include "nas/evaluate/roofline.h"

#include <cstring>
#include <vector>

#include "kernels/gemm/gemm.h"
#include "kernels/parallel.h"
#include "kernels/timing.h"

namespace offramp::nas {
namespace {

constexpr i64 kHalf = i64{128} << 10;  // source and copy together stay in the smallest second-level caches

// Bytes read and written a second while copying `block` bytes, `passes` times over the same memory.
double copy_rate(Exec& exec, i64 block, i64 piece, i64 passes) {
  std::vector<char> from(std::size_t(block), 1), to(std::size_t(block), 2);
  const auto copy = [&] {
    parallel_for(exec, block, piece, [&](i64 begin, i64 end, int) {
      for (i64 pass = 0; pass < passes; ++pass)
        std::memcpy(to.data() + begin, from.data() + begin, std::size_t(end - begin));
    });
  };
  const Timing t = measure(copy, {.warm_up = 1, .min_runs = 3, .min_seconds = 0.05});
  return double(2 * block * passes) / (t.min_us * 1e-6);
}

}  // namespace

Roofline measure_roofline(Exec& exec) {
  const kernels::GemmDims d{.m = 480, .n = 192, .k = 256};
  std::vector<float> a(std::size_t(d.m * d.k), 0.5f), b(std::size_t(d.n * d.k), 0.25f),
      c(std::size_t(d.m * d.n));
  std::vector<float> packed(std::size_t(kernels::gemm_packed_floats(d, exec.target())) + 16);
  kernels::gemm_pack(d, exec.target(), b.data(), d.k, 1, packed.data());
  const kernels::GemmCall call{.dims = d,
                               .a = a.data(),
                               .a_row = d.k,
                               .a_k = 1,
                               .b = b.data(),
                               .b_col = d.k,
                               .b_k = 1,
                               .packed = packed.data(),
                               .c = c.data(),
                               .c_row = d.n};
  const TimingOptions brief{.warm_up = 3, .min_runs = 5, .min_seconds = 0.05};
  const double gemm_us = measure([&] { kernels::gemm(exec, call); }, brief).min_us;

  return {.macs_per_second = double(d.m * d.n * d.k) / (gemm_us * 1e-6),
          .bytes_per_second = copy_rate(exec, i64{64} << 20, i64{1} << 20, 1),
          .cached_bytes_per_second = copy_rate(exec, exec.threads() * kHalf, kHalf, 100)};
}

}  // namespace offramp::nas
