// What an error of the card says: the operation and its dims.
#ifdef OFFRAMP_CUDA_EMULATED
#include <regex>

#include "kernels/cuda/emulate/memory.h"
#include "kernels/cuda/launch.h"
#include "kernels/error.h"
#include "kernels/pool/pool.h"
#include "nas/space/space.h"
#include "nn/loss.h"
#include "nn/network.h"
#include "tests/cuda/modes.h"

namespace offramp {
namespace {

using namespace offramp::testing;

// While it lives, `watch` is called before every launch.
struct WatchedLaunches {
  explicit WatchedLaunches(std::function<void(const cuda::Launch&)> watch) {
    cuda::emulate::before_launch = std::move(watch);
  }
  ~WatchedLaunches() { cuda::emulate::before_launch = nullptr; }
};

TEST(CudaErrors, ALaunchNamesItsProblem) {
  Exec card(cuda::Gpu::instance(), cuda::Math::f32);
  DeviceArray<float> x(std::vector<float>(2 * 5 * 7 * 3, 4.0f)), y(x.count());
  const kernels::PoolDims dims{
      .n = 2, .h = 5, .w = 7, .c = 3, .kernel = 3, .stride = 1, .pad = 1, .kind = kernels::PoolKind::avg};
  const auto pool = [&] {
    kernels::pool(card,
                  kernels::PoolCall{.dims = dims, .out_h = 5, .out_w = 7, .x = x.data(), .y = y.data()});
  };
  std::string text;
  try {
    const WatchedLaunches failing([](const cuda::Launch& l) { throw launch_error(l, "made to fail"); });
    pool();
  } catch (const Error& e) {
    text = e.what();
  }
  const std::string want =
      "cuda: pool/any/cuda: made to fail (n=2 h=5 w=7 c=3 kernel=3 stride=1 pad=1 kind=1; grid ";
  EXPECT_EQ(text.substr(0, want.size()), want) << text;
  EXPECT_TRUE(std::isnan(y.read()[(2 * 7 + 3) * 3]));
  pool();  // the card works on
  EXPECT_EQ(y.read()[(2 * 7 + 3) * 3], 4);
}

// What the error of each launch would say.
TEST(CudaErrors, EveryLaunchOfATrainingStepNamesItsProblem) {
  constexpr const char* kSpace = R"(
name = "tiny"
resolution = "native"
[stem]
kernel = 3
stride = 1
width = 8
act = "hard_swish"
[[stage]]
stride = 2
width = 8
depth = 2
kernel = 3
expand = 2
act = "hard_swish"
se = true
[[stage]]
stride = 1
width = 8
depth = 1
kernel = 5
expand = 1
act = "relu"
[final]
feature = { width = 8, act = "relu" }
[[exit]]
after = 1
[[exit.module]]
type = "dense"
kernel = 3
width = 8
stride = 2
act = "relu"
)";
  const nas::Space space = nas::Space::parse(kSpace, "tiny");
  nn::FreshParameters fresh{Rng(3)};
  nn::ParametersOn source(Device::cuda, fresh);
  nn::EarlyExitNetwork network(
      space.decode(space.max_genotype(), {.classes = 3, .channels = 3, .height = 8, .width = 8}), source);
  Exec card(cuda::Gpu::instance(), cuda::Math::f32);
  const Tensor images = Tensor::zeros({2, 8, 8, 3}, DType::f32, Device::cuda),
               labels = Tensor::zeros({2}, DType::i64, Device::cuda);
  const auto step = [&] {
    const Variable loss = nn::exit_loss(card, network.forward(card, Variable(images), nn::Mode::train),
                                        labels, {.label_smoothing = 0.1, .distillation = 0.5});
    backward(card, loss);
  };
  const std::regex form(R"(cuda: [a-z0-9_/]+: reason \([a-z_]+=\d+( [a-z_]+=\d+)*; grid .*\))");
  int launches = 0;
  const WatchedLaunches watched([&](const cuda::Launch& l) {
    ++launches;
    const std::string text = launch_error(l, "reason").what();
    EXPECT_TRUE(std::regex_match(text, form)) << text;
  });
  step();
  EXPECT_GT(launches, 30);
}

}  // namespace
}  // namespace offramp
#endif
