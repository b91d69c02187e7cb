// Gradients of leaves on the card: added in few launches, with the bits of additions one by one.
#include <algorithm>
#include <cmath>
#include <map>

#include "autograd/ops/linear.h"
#include "kernels/error.h"
#include "nas/train/network_trainer.h"
#include "tests/cuda/modes.h"
#include "tests/cuda/toy.h"
#include "tests/nn/tiny.h"

#ifdef OFFRAMP_CUDA_EMULATED
#include "kernels/cuda/emulate/memory.h"
#endif

namespace offramp {
namespace {

using namespace offramp::testing;

Tensor reals_of(const Shape& shape, u64 seed) {
  return Tensor::from<float>(reals(shape.count(), seed), shape);
}

using Launched = std::map<std::string, i64>;
template <class F>
Launched launched_by(Exec& card, F&& f) {
  cuda::LaunchTimes times;
  card.gpu()->times = &times;
  f();
  card.gpu()->times = nullptr;
  Launched out;
  for (const auto& launch : times.launches) ++out[launch.op];
  return out;
}

// An operation whose gradients are `terms`, in this order.
Variable with_gradients(const std::vector<Variable>& inputs, const std::vector<Tensor>& terms) {
  const Tensor y = Tensor::zeros({1}, DType::f32, inputs[0].value().device());
  return Variable::result(y, inputs, [terms](Backward& back) {
    for (size_t i = 0; i < terms.size(); ++i) back.add(i, terms[i].clone());
  });
}

// Parts of one leaf that overlap, whole leaves, terms with gaps: rounding tells the order.
std::vector<Tensor> summed(Exec& exec) {
  const Device device = memory_of(exec);
  const Variable w(reals_of({6, 5, 5, 7}, 1).to(device), true), bias(reals_of({33}, 2).to(device), true);
  const Variable narrow = Variable::slice(w, 0, 0, 4), thin = Variable::slice(w, 3, 0, 5);
  const Variable middle = Variable::slice(Variable::slice(narrow, 1, 1, 3), 2, 1, 3);
  const std::vector<Variable> inputs{narrow, bias, middle, w, thin, bias, narrow};
  std::vector<Tensor> terms;
  for (const Variable& v : inputs) terms.push_back(reals_of(v.shape(), 10 + terms.size()).to(device));
  terms[4] = reals_of({6, 5, 5, 9}, 20).to(device).slice(3, 2, 5);
  for (int pass = 0; pass < 3; ++pass) backward(exec, with_gradients(inputs, terms));
  backward(exec, thin, terms[4]);
  return {w.grad().to(Device::cpu), bias.grad().to(Device::cpu)};
}

TEST(CudaGradientSums, AreTheHostsToTheBit) {
  OFFRAMP_NEEDS_CARD();
  Exec host, card(cuda::Gpu::instance(), cuda::Math::f32);
  const auto want = summed(host), got = summed(card);
  for (size_t i = 0; i < want.size(); ++i) EXPECT_TRUE(same_bits(got[i], want[i])) << i;
}

TEST(CudaGradientSums, ManyLeavesNeedFewLaunches) {
  OFFRAMP_NEEDS_CARD();
  Exec card(cuda::Gpu::instance(), cuda::Math::f32);
  constexpr i64 kLeaves = 150;
  std::vector<Variable> leaves;
  std::vector<Tensor> terms;
  for (i64 i = 0; i < kLeaves; ++i) {
    leaves.emplace_back(Tensor::zeros({i % 7 * 150}, DType::f32, Device::cuda), true);  // some of them empty
    terms.push_back(reals_of(leaves.back().shape(), u64(i)).to(Device::cuda));
  }
  const auto step = [&] { backward(card, with_gradients(leaves, terms)); };
  EXPECT_EQ(launched_by(card, step).count("add/strided_list/cuda"), 0u);  // the first ones are kept
  const Launched launched = launched_by(card, step);
  EXPECT_EQ(launched.count("add/strided/cuda"), 0u);
  EXPECT_EQ(launched.at("add/strided_list/cuda"), (kLeaves + 127) / 128);
  for (size_t i = 0; i < leaves.size(); ++i) {
    Tensor twice = terms[i].to(Device::cpu);
    twice.add_(twice.clone());
    EXPECT_TRUE(same_bits(leaves[i].grad().to(Device::cpu), twice)) << i;
  }
}

// A weight that is used twice; its gradients go aside in a capture.
TEST(CudaGradientSums, ReplaysAddTheSameBits) {
  OFFRAMP_NEEDS_CARD();
  Exec card(cuda::Gpu::instance(), cuda::Math::f32);
  const Tensor x = reals_of({9, 16}, 3).to(Device::cuda), upstream = reals_of({9, 16}, 4).to(Device::cuda);
  const auto gradient = [&](bool captured) {
    const Variable w(reals_of({16, 16}, 5).to(Device::cuda), true);
    const Variable b(reals_of({16}, 6).to(Device::cuda), true);
    const auto step = [&] {
      backward(card, ops::linear(card, ops::linear(card, Variable(x), w, b), w, b), upstream);
    };
    step();  // gradients are there: those of a capture would be the graph's own
    if (captured) {
      cuda::Graph graph(*card.gpu(), step);
      for (int i = 0; i < 2; ++i) graph.launch();
    } else {
      for (int i = 0; i < 2; ++i) step();
    }
    return std::vector<Tensor>{w.grad().to(Device::cpu), b.grad().to(Device::cpu)};
  };
  const auto want = gradient(false), got = gradient(true);
  for (size_t i = 0; i < want.size(); ++i) EXPECT_TRUE(same_bits(got[i], want[i])) << i;
}

TEST(CudaGradientSums, AnErrorLeavesNothingToAdd) {
  OFFRAMP_NEEDS_CARD();
  Exec card(cuda::Gpu::instance(), cuda::Math::f32);
  const Variable w(reals_of({8}, 1).to(Device::cuda), true);
  const Tensor term = reals_of({8}, 2).to(Device::cuda);
  const auto step = [&] { backward(card, with_gradients({w}, {term})); };
  step();
  const Variable failing =
      Variable::result(Tensor::zeros({1}, DType::f32, Device::cuda), {w}, [&](Backward& back) {
        back.add(0, term.clone());
        throw Error("made to fail");
      });
  EXPECT_THROW(backward(card, failing), Error);
  step();
  Tensor twice = term.to(Device::cpu);
  twice.add_(twice.clone());
  EXPECT_TRUE(same_bits(w.grad().to(Device::cpu), twice));
}

// A step of a supernet is new every time and never captured: what it launches the host has to give, and it
// must not wait for the card in between.
TEST(CudaSupernetStep, AddsItsGradientsInFewLaunchesAndNeverWaits) {
  OFFRAMP_NEEDS_CARD();
  const data::Dataset set = toy_images(18);
  const nas::Supernet supernet(nas::Space::parse(kElasticSpace, "elastic"), nas::task_of(set), Rng(2),
                               Device::cuda);
  nas::SearchConfig config;
  config.train.batch = 6;
  config.supernet.epochs = 1;
  const i64 passes = 2 + config.supernet.random_subnets;
  Exec card(cuda::Gpu::instance(), cuda::Math::f32);

  struct Done {
    size_t launches;
    i64 waits;
  };
  std::vector<Done> done;
  cuda::LaunchTimes times;
  nas::Watch watch;
  watch.on_progress = [&](const nas::Progress&) {
#ifdef OFFRAMP_CUDA_EMULATED
    done.push_back({times.launches.size(), cuda::emulate::waits()});
#else
    done.push_back({times.launches.size(), 0});
#endif
  };
  card.gpu()->times = &times;
  nas::train_supernet(card, supernet, {set, data::channel_statistics(set)}, config, watch);
  card.gpu()->times = nullptr;
  ASSERT_EQ(done.size(), 3u);

  for (const size_t step : {1, 2}) {
    Launched launched;
    for (size_t i = done[step - 1].launches; i < done[step].launches; ++i) ++launched[times.launches[i].op];
    std::string text;
    i64 all = 0;
    for (const auto& [op, count] : launched) {
      text += op + " " + std::to_string(count) + "\n";
      all += count;
    }
    SCOPED_TRACE("step " + std::to_string(step) + ", " + std::to_string(all) + " launches:\n" + text);
    EXPECT_EQ(done[step].waits, done[step - 1].waits);
    // The gradients of the first pass are kept, those of each other one are added at once.
    EXPECT_EQ(launched["add/strided_list/cuda"], passes - 1);
    // Of the features that an early exit and the next stage read.
    EXPECT_LE(launched["add/strided/cuda"], passes);
    // Of statistics, two kinds of values a subnet; of the loss' gradient, one.
    EXPECT_LE(launched["fill/strided/cuda"], 3 * passes);
    EXPECT_GT(all, 20 * passes);
  }
}

}  // namespace
}  // namespace offramp
