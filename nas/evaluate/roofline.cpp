#include "nas/evaluate/roofline.h"

#include <cstring>
#include <vector>

#include "kernels/gemm/gemm.h"
#include "kernels/parallel.h"
#include "kernels/timing.h"

namespace offramp::nas {

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

  constexpr i64 kBlock = i64{64} << 20, kPiece = i64{1} << 20;
  std::vector<char> from(std::size_t(kBlock), 1), to(std::size_t(kBlock), 2);
  const double copy_us =
      measure(
          [&] {
            parallel_for(exec, kBlock, kPiece, [&](i64 begin, i64 end, int) {
              std::memcpy(to.data() + begin, from.data() + begin, std::size_t(end - begin));
            });
          },
          {.warm_up = 1, .min_runs = 3, .min_seconds = 0.05})
          .min_us;
  return {.macs_per_second = double(d.m * d.n * d.k) / (gemm_us * 1e-6),
          .bytes_per_second = double(2 * kBlock) / (copy_us * 1e-6)};
}

}  // namespace offramp::nas
