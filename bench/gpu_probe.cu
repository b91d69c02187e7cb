#include "bench/gpu_probe.h"

#include "kernels/cuda/language.h"
#include "kernels/normed/normed.h"
#include "tensor/tensor.h"

namespace offramp::bench {
namespace {

__global__ void nothing(float* p) {
  if (p == nullptr) return;
}

}  // namespace

CardLimits measure_card(cuda::Gpu& gpu) {
  CardLimits out{};
  const bool real = !cuda::fenced();
  const i64 bytes = real ? i64{1} << 30 : i64{1} << 16;
  const Tensor from = Tensor::zeros({bytes}, DType::u8, Device::cuda),
               to = Tensor::zeros({bytes}, DType::u8, Device::cuda);
  const auto address = [](const Tensor& t) { return const_cast<u8*>(t.data<u8>()); };
  out.copy_gb_s = 2e-6 * double(bytes) /
                  median_ms(gpu, 2, 9, [&] { cuda::copy(gpu.stream(), address(to), address(from), bytes); });

  const i64 rows = real ? 16384 : 256, c = real ? 4096 : 64;
  Exec exec(gpu, cuda::Math::bf16);
  const Tensor x = Tensor::zeros({rows, c}, DType::bf16, Device::cuda),
               w = Tensor::zeros({c, c}, DType::f32, Device::cuda);
  Tensor y = Tensor::empty({rows, c}, DType::bf16, Device::cuda);
  const kernels::NormedPointwiseCallT<Bf16> call{.dims = {.rows = rows, .c_in = c, .c_out = c},
                                                 .in = {.x = x.data<Bf16>()},
                                                 .w = w.data<float>(),
                                                 .w_row = c,
                                                 .y = y.data<Bf16>()};
  out.tensor_tflop_s = 2e-9 * double(rows) * double(c) * double(c) /
                       median_ms(gpu, 1, 5, [&] { kernels::normed_pointwise(exec, call); });

  constexpr int kNodes = 500;
  float* const p = y.data<Bf16>() ? reinterpret_cast<float*>(y.data<Bf16>()) : nullptr;
  cuda::Graph graph(gpu, [&] {
    for (int i = 0; i < kNodes; ++i) cuda::launch(gpu, {.op = "nothing", .grid = 1, .block = 32}, nothing, p);
  });
  out.node_us = 1e3 * median_ms(gpu, 2, 9, [&] { graph.launch(); }) / kNodes;
  return out;
}

}  // namespace offramp::bench
