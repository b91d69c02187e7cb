#include "kernels/roofline/card_limits.h"

#include "kernels/cuda/language.h"
#include "kernels/cuda/timing.h"
#include "kernels/exec.h"
#include "kernels/normed/normed.h"

namespace offramp::kernels {
namespace {

using offramp::cuda::Gpu;
using offramp::cuda::Math;

__global__ void nothing(float* p) {
  if (p == nullptr) return;
}

// Zeros.
class Block {
 public:
  Block(Gpu& gpu, i64 bytes) : pool_(gpu.pool()), bytes_(bytes), data_(pool_->take(bytes)) {
    offramp::cuda::fill_bytes(gpu.stream(), data_, 0, bytes);
  }
  ~Block() { pool_->give(data_, bytes_); }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  template <class T = std::byte>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }

 private:
  std::shared_ptr<offramp::cuda::MemoryPool> pool_;
  i64 bytes_;
  std::byte* data_;
};

double median_us(Gpu& gpu, int warm_up, i64 runs, const std::function<void()>& body) {
  return offramp::cuda::measure(
             gpu, body, {.warm_up = warm_up, .min_runs = runs, .max_runs = runs, .min_seconds = 0})
      .median_us;
}

template <class T>
double product_tflop_s(Gpu& gpu, Math math) {
  const bool real = !offramp::cuda::fenced();
  const i64 rows = real ? 16384 : 256, c = real ? 4096 : 64;
  Exec exec(gpu, math);
  const Block x(gpu, rows * c * i64(sizeof(T))), w(gpu, c * c * i64(sizeof(float))),
      y(gpu, rows * c * i64(sizeof(T)));
  const NormedPointwiseCallT<T> call{.dims = {.rows = rows, .c_in = c, .c_out = c},
                                     .in = {.x = x.as<T>()},
                                     .w = w.as<float>(),
                                     .w_row = c,
                                     .y = y.as<T>()};
  return 2e-6 * double(rows) * double(c) * double(c) /
         median_us(gpu, 1, 5, [&] { normed_pointwise(exec, call); });
}

}  // namespace

CardLimits measure_card(Gpu& gpu, Math math) {
  CardLimits out;
  const i64 bytes = offramp::cuda::fenced() ? i64{1} << 16 : i64{1} << 30;
  {
    const Block from(gpu, bytes), to(gpu, bytes);
    out.copy_gb_s =
        2e-3 * double(bytes) /
        median_us(gpu, 2, 9, [&] { offramp::cuda::copy(gpu.stream(), to.as(), from.as(), bytes); });
  }
  out.product_tflop_s =
      math == Math::bf16 ? product_tflop_s<Bf16>(gpu, math) : product_tflop_s<float>(gpu, math);

  constexpr int kNodes = 500;
  const Block p(gpu, 256);
  offramp::cuda::Graph graph(gpu, [&] {
    for (int i = 0; i < kNodes; ++i)
      offramp::cuda::launch(gpu, {.op = "nothing", .grid = 1, .block = 32}, nothing, p.as<float>());
  });
  out.node_us = median_us(gpu, 2, 9, [&] { graph.launch(); }) / kNodes;
  return out;
}

}  // namespace offramp::kernels
