// What an error of the card says: the operation and its dims.
#ifdef OFFRAMP_CUDA_EMULATED
#include <regex>
#include <set>

#include "autograd/ops/expected_loss.h"
#include "data/device_loader.h"
#include "kernels/cuda/emulate/memory.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/problem.h"
#include "kernels/error.h"
#include "kernels/pool/pool.h"
#include "nn/loss.h"
#include "nn/optim/adamw.h"
#include "nn/optim/card_update.h"
#include "nn/optim/sgd.h"
#include "nn/plan/early_exit.h"
#include "nn/record.h"
#include "tests/cuda/modes.h"
#include "tests/cuda/toy.h"

namespace offramp {
namespace {

using namespace offramp::testing;

// While it lives, `watch` is called before every launch.
struct WatchedLaunches {
  explicit WatchedLaunches(std::function<void(const cuda::Launch&)> watch)
      : before(std::exchange(cuda::emulate::before_launch, std::move(watch))) {}
  ~WatchedLaunches() { cuda::emulate::before_launch = before; }
  std::function<void(const cuda::Launch&)> before;
};

// Every launch of every test of this program: the door of its row has noted the dims.
class EveryDoorNotes : public ::testing::EmptyTestEventListener {
  void OnTestStart(const ::testing::TestInfo&) override {
    cuda::emulate::before_launch = [this](const cuda::Launch& l) {
      const std::string op = l.op;
      if (!op.ends_with("/cuda")) return;  // tests' own kernels, and probes
      const cuda::Problem& problem = cuda::problem();
      if ((problem.row() != op || problem.dims().empty()) && told_.insert(op).second)
        ADD_FAILURE() << op << " was launched when the problem was '" << problem.text() << "'";
    };
  }
  void OnTestEnd(const ::testing::TestInfo&) override {
    cuda::emulate::before_launch = nullptr;
    told_.clear();
  }
  std::set<std::string> told_;
};
[[maybe_unused]] const bool listens = [] {
  ::testing::UnitTest::GetInstance()->listeners().Append(new EveryDoorNotes);
  return true;
}();

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

// What the error of each launch would say, from the bytes of the images to updated parameters and taken
// exits.
TEST(CudaErrors, EveryLaunchNamesItsProblem) {
  nn::EarlyExitNetwork network =
      largest_network(kEveryLayerSpace, {.classes = 3, .channels = 3, .height = 8, .width = 8}, Device::cuda);
  Exec card(cuda::Gpu::instance(), cuda::Math::f32);
  const std::regex form(R"(cuda: [a-z0-9_/]+: reason \([a-z_]+=\d+( [a-z_]+=\d+)*; grid .*\))");
  std::set<std::string> launched;
  const WatchedLaunches watched([&](const cuda::Launch& l) {
    const std::string text = launch_error(l, "reason").what();
    EXPECT_TRUE(std::regex_match(text, form)) << text;
    launched.insert(l.op);
  });
  const data::Dataset set = toy_images(2, 9);
  const auto source =
      data::source_of(card, set, data::channel_statistics(set), {.batch = 2, .height = 8, .width = 8});
  source->start(0);
  data::Batch batch;
  ASSERT_TRUE(source->next(batch));
  nn::Sgd sgd(network.named_parameters());
  nn::AdamW adamw(network.named_parameters());
  nn::Ema averages(network.named_parameters(), {}, 0.9);
  for (nn::Optimizer* const optimizer :
       {static_cast<nn::Optimizer*>(&sgd), static_cast<nn::Optimizer*>(&adamw)}) {
    nn::CardUpdate update(card, *optimizer, &averages, 5);
    update.start_epoch();
    update.set_step(0.1);
    const Variable loss = nn::exit_loss(card, network.forward(card, Variable(batch.images), nn::Mode::train),
                                        batch.labels, {.label_smoothing = 0.1, .distillation = 0.5});
    backward(card, loss);  // the second time gradients are added
    update.step(loss.value());
  }
  const auto random = [](const Shape& shape) {
    return Variable(Tensor::from<float>(reals(shape.count(), 7), shape).to(Device::cuda), true);
  };
  backward(card,
           ops::expected_loss(card, {random({2, 3}), random({2, 3})}, {random({2, 1})}, batch.labels, {}));

  nn::EarlyExitRunner runner(std::make_shared<const nn::Plan>(nn::deployable(network)), card.target(), 2);
  const std::vector<float> images(2 * 8 * 8 * 3, 0.5f);
  std::vector<nn::Outcome> outcomes(2);
  runner.run(card, images.data(), 2, {0.99f}, {}, outcomes);

  EXPECT_GT(launched.size(), 30u);
  for (const char* row :
       {"augment/any/cuda", "resize/any/cuda", "exit_loss/any/cuda", "add/strided_list/cuda",
        "update/set_step/cuda", "update/clear_sums/cuda", "update/squares/cuda", "update/clip/cuda",
        "update/sgd/cuda", "update/count_step/cuda", "update/adamw/cuda", "update/ema/cuda",
        "expected_loss/any/cuda", "exit_start/any/cuda", "exit_select/any/cuda", "exit_gather/any/cuda"})
    EXPECT_TRUE(launched.contains(row)) << row;
}

}  // namespace
}  // namespace offramp
#endif
