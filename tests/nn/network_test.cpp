// Networks with exits: construction, modes, training, recording.
#include "nn/network.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "autograd/ops/shape.h"
#include "kernels/error.h"
#include "kernels/recorder.h"
#include "nn/loss.h"
#include "nn/optim/optimizer.h"
#include "nn/optim/sgd.h"
#include "sample_network.h"
#include "tests/support/fill.h"
#include "tests/support/targets.h"
#include "tiny.h"

namespace offramp {
namespace {

using namespace nn;
using testing::random_images;
using testing::random_labels;
using testing::same_bits;
using testing::tiny_architecture;
using Kind = LayerSpec::Kind;

TEST(Network, NamesItsParameters) {
  FreshParameters source(Rng(1));
  const EarlyExitNetwork network(tiny_architecture(), source);
  std::set<std::string> names;
  for (const NamedParameter& p : network.named_parameters())
    EXPECT_TRUE(names.insert(p.name).second) << p.name;
  for (const NamedBuffer& b : network.named_buffers()) EXPECT_TRUE(names.insert(b.name).second) << b.name;
  for (const char* name :
       {"stem.conv.weight", "stem.conv.norm.gamma", "stem.conv.norm.beta", "stem.conv.norm.mean",
        "stem.conv.norm.var", "stage1.block1.depthwise.weight", "stage1.block1.project.norm.gamma",
        "stage2.block1.expand.weight", "stage2.block1.se.reduce.weight", "stage2.block1.se.reduce.bias",
        "stage2.block1.se.expand.bias", "stage2.grouped.bias", "exit1.conv.weight", "exit1.linear.weight",
        "final.linear.bias"})
    EXPECT_TRUE(names.count(name)) << name;
  EXPECT_FALSE(names.count("stage1.block1.expand.weight"));  // mid = c_in
  EXPECT_FALSE(names.count("stem.conv.bias"));
  EXPECT_EQ(network.exit_count(), 2);
}

TEST(Network, ForwardIsBodiesAndHeads) {
  Exec exec(default_target());
  FreshParameters source(Rng(1));
  EarlyExitNetwork network(tiny_architecture(), source);
  const Variable x(random_images(network.architecture(), 3, 4));
  const auto logits = network.forward(exec, x, Mode::evaluate);
  ASSERT_EQ(logits.size(), 2u);
  EXPECT_EQ(logits[0].shape(), (Shape{3, 5}));
  const Variable f = network.body(exec, 0, x, Mode::evaluate);
  EXPECT_EQ(f.shape(), (Shape{3, 6, 5, 8}));
  EXPECT_TRUE(same_bits(network.head(exec, 0, f, Mode::evaluate).value(), logits[0].value()));
  const Variable g = network.body(exec, 1, f, Mode::evaluate);
  EXPECT_TRUE(same_bits(network.head(exec, 1, g, Mode::evaluate).value(), logits[1].value()));
  EXPECT_FALSE(logits[1].requires_grad());
}

TEST(Network, ASampleHasTheSameBitsInAnyCompany) {
  for (const Target target : testing::runnable_targets()) {
    Exec exec(target), two(target, 2);
    FreshParameters source(Rng(1));
    EarlyExitNetwork network(tiny_architecture(), source);
    const Tensor x = random_images(network.architecture(), 9, 4);
    const auto all = network.forward(two, Variable(x), Mode::evaluate);
    for (const auto& [begin, length] : {std::array<i64, 2>{0, 1}, {4, 1}, {2, 5}, {8, 1}}) {
      const auto some = network.forward(exec, Variable(x.slice(0, begin, length)), Mode::evaluate);
      for (size_t e = 0; e < all.size(); ++e)
        EXPECT_TRUE(same_bits(all[e].value().slice(0, begin, length), some[e].value()))
            << target_name(target) << ", exit " << e << ", samples from " << begin;
    }
  }
}

TEST(Network, RecordingNeedsNoWeights) {
  for (const Target target : testing::runnable_targets())
    for (const Mode mode : {Mode::evaluate, Mode::train}) {
      Exec real(target), dry(target);
      Recorder ran, noted;
      noted.dry = true;
      FreshParameters fresh(Rng(1));
      MetaParameters meta;
      EarlyExitNetwork with(tiny_architecture(), fresh), without(tiny_architecture(), meta);
      const Tensor x = random_images(with.architecture(), 2, 4);
      const Tensor labels = random_labels(2, 5, 1);
      real.recorder = &ran;
      dry.recorder = &noted;
      const auto a = with.forward(real, Variable(x), mode);
      const auto b = without.forward(dry, Variable(Tensor::empty(x.shape(), DType::f32, Device::meta)), mode);
      if (mode == Mode::train) {
        backward(real, exit_loss(real, a, labels, {.distillation = 0.5}));
        backward(dry, exit_loss(dry, b, labels, {.distillation = 0.5}));
      }
      ASSERT_EQ(ran.calls.size(), noted.calls.size());
      EXPECT_GT(ran.calls.size(), 20u);
      for (size_t i = 0; i < ran.calls.size(); ++i) {
        EXPECT_EQ(ran.calls[i].kernel, noted.calls[i].kernel);
        EXPECT_EQ(ran.calls[i].cost, noted.calls[i].cost) << ran.calls[i].kernel;
        ASSERT_EQ(ran.calls[i].call.index(), noted.calls[i].call.index());
        const ForwardCall &a_call = ran.calls[i].call, &b_call = noted.calls[i].call;
        if (const auto* conv = std::get_if<kernels::Conv2dCall>(&a_call)) {
          EXPECT_EQ(conv->dims, std::get<kernels::Conv2dCall>(b_call).dims);
        } else if (const auto* gemm = std::get_if<kernels::GemmCall>(&a_call)) {
          EXPECT_EQ(gemm->dims, std::get<kernels::GemmCall>(b_call).dims);
        } else if (const auto* depthwise = std::get_if<kernels::DepthwiseCall>(&a_call)) {
          EXPECT_EQ(depthwise->dims, std::get<kernels::DepthwiseCall>(b_call).dims);
        }
      }
    }
}

TEST(Network, RecordedMacsAreTheDenseCount) {
  Exec exec(Target::portable);
  Recorder recorder;
  recorder.dry = true;
  exec.recorder = &recorder;
  MetaParameters meta;
  EarlyExitNetwork network(tiny_architecture(), meta);
  network.forward(exec, Variable(Tensor::empty({1, 12, 10, 3}, DType::f32, Device::meta)), Mode::evaluate);
  const i64 stem = 6 * 5 * 8 * 27, block1 = 6 * 5 * (8 * 25 + 8 * 8);
  const i64 exit1 = 3 * 3 * 12 * 9 * 8 + 12 * 5;
  const i64 block2 = 6 * 5 * 8 * 24 + 3 * 3 * 24 * 9 + 2 * 24 * 8 + 3 * 3 * 24 * 12;
  const i64 last = 3 * 3 * 12 * 9 * 4 + 2 * 2 * 12 * 5;
  EXPECT_EQ(recorder.total().macs, stem + block1 + exit1 + block2 + last);
}

TEST(Network, DryRunsLeaveRealWeightsAlone) {
  Exec exec(Target::portable);
  Recorder recorder;
  recorder.dry = true;
  FreshParameters source(Rng(1));
  EarlyExitNetwork network(tiny_architecture(), source);
  exec.recorder = &recorder;
  for (const Mode mode : {Mode::train, Mode::recalibrate})
    network.forward(exec, Variable(random_images(network.architecture(), 2, 4)), mode);
  for (const NamedBuffer& b : network.named_buffers())
    for (float v : b.tensor.values<float>()) EXPECT_EQ(v, b.name.ends_with(".var") ? 1 : 0) << b.name;
}

TEST(Network, OverfitsAFewSamples) {
  Exec exec(default_target());
  FreshParameters source(Rng(3));
  EarlyExitNetwork network(tiny_architecture(), source);
  const Variable x(random_images(network.architecture(), 32, 4));
  const Tensor labels = random_labels(32, 5, 2);
  Sgd sgd(network.named_parameters(), {.weight_decay = 1e-4});
  double first = 0, last = 0;
  for (int step = 0; step < 120; ++step) {
    const Variable loss = exit_loss(exec, network.forward(exec, x, Mode::train), labels);
    (step == 0 ? first : last) = loss.value().item();
    sgd.zero_grad();
    backward(exec, loss);
    sgd.step(exec, 0.05, clip_gradients(exec, network.named_parameters(), 5).scale);
  }
  EXPECT_GT(first, 2);
  EXPECT_LT(last, 0.1);
  network.reset_statistics();
  network.forward(exec, x, Mode::recalibrate);
  for (const Variable& logits : network.forward(exec, x, Mode::evaluate))
    EXPECT_EQ(accuracy(logits.value(), labels), 1);
}

TEST(Network, AStepHasTheSameBitsForAnyNumberOfThreads) {
  std::vector<std::vector<Tensor>> results;
  for (const int threads : {1, 2}) {
    Exec exec(default_target(), threads);
    FreshParameters source(Rng(3));
    EarlyExitNetwork network(tiny_architecture(), source);
    Sgd sgd(network.named_parameters(), {.weight_decay = 1e-4});
    for (u64 step = 0; step < 2; ++step) {
      const Variable x(random_images(network.architecture(), 33, step));
      sgd.zero_grad();
      backward(exec, exit_loss(exec, network.forward(exec, x, Mode::train), random_labels(33, 5, step),
                               {.label_smoothing = 0.1, .distillation = 0.5}));
      sgd.step(exec, 0.1, clip_gradients(exec, network.named_parameters(), 1).scale);
    }
    results.emplace_back();
    for (const NamedParameter& p : network.named_parameters()) results.back().push_back(p.variable.value());
    for (const NamedBuffer& b : network.named_buffers()) results.back().push_back(b.tensor);
  }
  for (size_t i = 0; i < results[0].size(); ++i) {
    EXPECT_TRUE(same_bits(results[0][i], results[1][i])) << "tensor " << i;
  }
}

TEST(Network, RecalibrationAveragesTheBatches) {
  Exec exec(Target::portable);
  FreshParameters source(Rng(3), DType::f64), again(Rng(3), DType::f64);
  EarlyExitNetwork network(tiny_architecture(), source);
  const auto images = [&](u64 seed) {
    return Variable(random_images(network.architecture(), 4, seed).to(DType::f64));
  };
  // Momentum 1 leaves the statistics of the last batch: the ones to be averaged.
  EarlyExitNetwork probe(tiny_architecture(), again, {.momentum = 1});
  std::vector<std::vector<double>> want(network.named_buffers().size());
  for (int round = 0; round < 2; ++round) {  // a second calibration starts anew
    network.reset_statistics();
    for (auto& w : want) w.clear();
    for (u64 batch = 0; batch < 3; ++batch) {
      const u64 seed = 10 * u64(round) + batch;
      const auto logits = network.forward(exec, images(seed), Mode::recalibrate);
      EXPECT_FALSE(logits[0].requires_grad());
      probe.forward(exec, images(seed), Mode::train);
      for (size_t i = 0; i < want.size(); ++i) {
        const auto v = probe.named_buffers()[i].tensor.values<double>();
        want[i].resize(v.size());
        for (size_t j = 0; j < v.size(); ++j) want[i][j] += v[j] / 3;
      }
    }
    for (size_t i = 0; i < want.size(); ++i)
      for (size_t j = 0; j < want[i].size(); ++j)
        EXPECT_NEAR(network.named_buffers()[i].tensor.values<double>()[j], want[i][j], 1e-12)
            << network.named_buffers()[i].name;
  }
}

// Parameters are parts of larger ones, as in a weight-sharing supernet.
class PrefixSource : public ParameterSource {
 public:
  explicit PrefixSource(Rng rng) : fresh_(rng) {}
  Variable parameter(const std::string& name, const Shape& shape, const Init& init) override {
    Extents large = shape.extents();
    for (i64& extent : large) extent += 3;
    ops::Prefix part{.out = shape[0]};
    if (shape.rank() > 1) part.in = shape[-1];
    if (shape.rank() == 4) {
      large[1] = large[2] = shape[1] + 2;
      part.kernel = shape[1];
    }
    wholes.push_back({name, fresh_.parameter(name, Shape(large), init)});
    return ops::prefix_view(wholes.back().variable, part);
  }
  Tensor buffer(const std::string& name, const Shape& shape, double fill) override {
    return fresh_.buffer(name, {shape[0] + 2}, fill).slice(0, 1, shape[0]);
  }
  std::vector<NamedParameter> wholes;

 private:
  FreshParameters fresh_;
};

TEST(Network, WorksOnPartsOfSharedParameters) {
  for (const Target target : testing::runnable_targets()) {
    Exec exec(target);
    PrefixSource shared(Rng(4));
    EarlyExitNetwork on_parts(tiny_architecture(), shared);
    std::map<std::string, Tensor> copies;
    for (const NamedParameter& p : on_parts.named_parameters())
      copies.emplace(p.name, p.variable.value().clone());
    for (const NamedBuffer& b : on_parts.named_buffers()) copies.emplace(b.name, b.tensor.clone());
    LoadedParameters loaded(copies);
    EarlyExitNetwork plain(tiny_architecture(), loaded);
    const Variable x(random_images(plain.architecture(), 7, 4));
    const Tensor labels = random_labels(7, 5, 2);
    for (int pass = 0; pass < 2; ++pass)
      for (EarlyExitNetwork* network : {&on_parts, &plain})
        backward(exec, exit_loss(exec, network->forward(exec, x, Mode::train), labels));
    const auto a = on_parts.forward(exec, x, Mode::evaluate), b = plain.forward(exec, x, Mode::evaluate);
    for (size_t e = 0; e < a.size(); ++e)
      EXPECT_TRUE(same_bits(a[e].value(), b[e].value())) << target_name(target);
    // Every gradient lies in its part, and nothing lies outside.
    for (size_t i = 0; i < shared.wholes.size(); ++i) {
      const NamedParameter& p = plain.named_parameters()[i];
      const Tensor& whole = shared.wholes[i].variable.grad();
      ASSERT_TRUE(whole.defined()) << p.name;
      const Shape& s = p.variable.shape();
      Tensor part = whole.slice(0, 0, s[0]);
      if (s.rank() > 1) part = part.slice(-1, 0, s[-1]);
      if (s.rank() == 4) part = part.slice(1, 1, s[1]).slice(2, 1, s[2]);
      EXPECT_TRUE(same_bits(part, p.variable.grad())) << p.name << " on " << target_name(target);
      double inside = 0, all = 0;
      for (float v : p.variable.grad().values<float>()) inside += std::fabs(v);
      for (float v : whole.values<float>()) all += std::fabs(v);
      EXPECT_NEAR(all, inside, 1e-9 * inside) << p.name;
    }
  }
}

void expect_refused(const std::function<void(Architecture&)>& damage,
                    std::initializer_list<const char*> words) {
  Architecture a = tiny_architecture();
  damage(a);
  MetaParameters meta;
  try {
    EarlyExitNetwork network(a, meta);
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), Error::Kind::input);
    for (const char* word : words) EXPECT_NE(std::string(e.what()).find(word), std::string::npos) << e.what();
  }
}

TEST(Network, RefusesArchitecturesThatDoNotFit) {
  expect_refused([](auto& a) { a.stages.clear(); }, {"stage"});
  expect_refused([](auto& a) { a.stages[1].head.clear(); }, {"final", "no head"});
  expect_refused([](auto& a) { a.stages[0].head.pop_back(); }, {"stage1", "linear", "5 outputs"});
  expect_refused([](auto& a) { a.classes = 6; }, {"stage1", "6 outputs", "[n,5]"});
  expect_refused([](auto& a) { a.height = 0; }, {"height"});
  expect_refused([](auto& a) { a.stages[0].body[1].name = "stem.conv"; }, {"'stem.conv'", "twice"});
  expect_refused([](auto& a) { a.stages[1].name = "stage1"; }, {"stage1", "twice"});
  expect_refused([](auto& a) { a.stages[0].body[1].pad = 1; }, {"stage1.block1", "pad = kernel/2"});
  expect_refused([](auto& a) { a.stages[0].body[0].kernel = 15; }, {"stem.conv", "15", "pad 1"});
  expect_refused([](auto& a) { a.stages[0].body[0].stride = 0; }, {"stem.conv", "stride"});
  expect_refused([](auto& a) { a.stages[0].body[0].c_out = 0; }, {"stem.conv", "output channels"});
  expect_refused([](auto& a) { a.stages[1].body[1].groups = 5; }, {"stage2.grouped", "groups"});
  expect_refused([](auto& a) { a.stages[1].body[0].mid = -1; }, {"stage2.block1", "expanded"});
  expect_refused([](auto& a) { a.stages[0].head[0].out_h = 0; }, {"exit1.resize", "height"});
  expect_refused([](auto& a) { a.stages[1].head[0].pad = 2; }, {"final.avg", "pad"});
  expect_refused(
      [](auto& a) {
        a.stages[0].head.insert(a.stages[0].head.begin(), {.kind = Kind::linear, .name = "l", .c_out = 4});
      },
      {"exit1.resize", "map"});
}

TEST(Network, RefusesInputsOfAnotherShape) {
  Exec exec(Target::portable);
  FreshParameters source(Rng(1));
  EarlyExitNetwork network(tiny_architecture(), source);
  EXPECT_THROW(network.forward(exec, Variable(Tensor::zeros({2, 12, 12, 3})), Mode::evaluate), Error);
  EXPECT_THROW(network.forward(exec, Variable(Tensor::zeros({0, 12, 10, 3})), Mode::evaluate), Error);
  EXPECT_THROW(network.forward(exec, Variable(Tensor::zeros({12, 10, 3})), Mode::evaluate), Error);
}

// The network's exits are those of stages 1, 3 and 4; a part of the trunk with r exits behind it must get 1/r
// of the gradient that the plain sum gives it, and heads all of theirs.
TEST(Network, EquilibriumIsTheMeanOverTheExitsBehind) {
  const Architecture architecture = testing::sample_architecture();
  Exec exec(Target::portable, 1);
  const auto gradients = [&](bool equilibrium) {
    FreshParameters fresh(Rng(4), DType::f64);
    EarlyExitNetwork network(architecture, fresh);
    Tensor x = Tensor::empty({6, architecture.height, architecture.width, architecture.channels}, DType::f64);
    testing::fill_reals(x.values<double>(), 8);
    backward(exec, exit_loss(exec, network.forward(exec, Variable(x), Mode::train, equilibrium),
                             random_labels(6, architecture.classes, 1)));
    std::map<std::string, std::vector<double>> all;
    for (const NamedParameter& p : network.named_parameters()) {
      const Tensor g = p.variable.grad().contiguous();
      all[p.name].assign(g.values<double>().begin(), g.values<double>().end());
    }
    return all;
  };
  const std::map<std::string, double> part{{"stem", 3}, {"b1", 3}, {"b2", 2},
                                           {"b3", 2},   {"dw", 2}, {"b4", 1}};
  const auto plain = gradients(false), scaled = gradients(true);
  ASSERT_EQ(plain.size(), scaled.size());
  for (const auto& [name, want] : plain) {
    const auto found = part.find(name.substr(0, name.find('.')));
    const double exits = found == part.end() ? 1 : found->second;
    double largest = 0;
    for (double g : want) largest = std::max(largest, std::fabs(g));
    for (std::size_t i = 0; i < want.size(); ++i)
      ASSERT_NEAR(scaled.at(name)[i], want[i] / exits, 1e-10 * largest + 1e-15) << name << " element " << i;
  }
}

}  // namespace
}  // namespace offramp
