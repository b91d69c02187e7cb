#include "bench/gpu_floor.h"

#include <array>
#include <string_view>

#include "kernels/cuda/gpu.h"
#include "kernels/recorder.h"

namespace offramp::bench {
namespace {

// What is launched for tensors without a door that notes it; how often a launch reads or writes each value.
// The rows that column_sum reads are not known from its blocks: they count nothing, the launch does.
struct TensorKernel {
  std::string_view op;
  double passes;
};
constexpr auto kTensorKernels = std::to_array<TensorKernel>({{"copy/strided/cuda", 2},
                                                             {"add/strided/cuda", 3},
                                                             {"add/strided_list/cuda", 3},
                                                             {"fill/strided/cuda", 1},
                                                             {"scale/any/cuda", 2},
                                                             {"column_sum/any/cuda", 0}});
constexpr double kValuesOfBlock = 256;  // of those kernels

// Parameters, gradients and moments are floats in every mode.
bool updates(std::string_view kernel) { return kernel.starts_with("update/"); }

}  // namespace

Floor floor_of(Exec& exec, const kernels::CardLimits& card, const std::function<void()>& work) {
  Recorder recorder;
  cuda::LaunchTimes launched;
  exec.recorder = &recorder;
  exec.gpu()->times = &launched;
  work();
  exec.recorder = nullptr;
  exec.gpu()->times = nullptr;
  // Declared bytes are those of floats; activations have half the size in bf16.
  const double size = exec.math() == cuda::Math::bf16 ? 0.5 : 1;
  Floor floor;
  const auto count = [&](double bytes, i64 macs) {
    floor.us += card.least_us(bytes, macs);
    ++floor.kernels;
  };
  for (const RecordedCall& call : recorder.calls)
    count(double(call.cost.bytes_read + call.cost.bytes_written) * (updates(call.kernel) ? 1 : size),
          call.cost.macs);
  for (const auto& launch : launched.launches)
    for (const TensorKernel& kernel : kTensorKernels)
      if (launch.op == kernel.op) count(4 * size * kernel.passes * kValuesOfBlock * double(launch.blocks), 0);
  return floor;
}

double wanted_ratio(const std::string& network, i64 batch) {
  if (batch < 512) return 0;
  return network == "min32" ? 2.5 : 2;
}

}  // namespace offramp::bench
