// Plans on the card against the host's: logits of every exit, and the exits that are taken.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/error.h"
#include "kernels/mbconv/mbconv.h"
#include "nas/space/space.h"
#include "nn/plan/blocks.h"
#include "nn/plan/card_runner.h"
#include "nn/plan/early_exit.h"
#include "nn/record.h"
#include "tests/cuda/oracle.h"
#include "tests/nn/sample_network.h"

namespace offramp {
namespace {

using namespace offramp::testing;

struct Mode {
  cuda::Math math;
  double tolerance;
};
constexpr Mode kModes[] = {{cuda::Math::f32, 2e-5}, {cuda::Math::tf32, 5e-3}, {cuda::Math::bf16, 4e-2}};

std::vector<float> all_logits(nn::EarlyExitRunner& runner, Exec& exec, const std::vector<float>& images,
                              i64 n) {
  std::vector<float> logits(size_t(n * i64(runner.exits().size()) * runner.plan_runner().plan().classes));
  runner.run_all(exec, images.data(), n, logits.data());
  return logits;
}

TEST(CudaPlan, LogitsAreTheHosts) {
  OFFRAMP_NEEDS_CARD();
  nn::EarlyExitNetwork net = sample_network();
  constexpr i64 n = 37;
  const std::vector<float> images = sample_images(n);
  for (const bool folded : {true, false}) {
    const auto plan = std::make_shared<const nn::Plan>(folded ? nn::deployable(net) : nn::record(net));
    Exec host;
    nn::EarlyExitRunner on_host(plan, host.target(), 16);
    const std::vector<float> want = all_logits(on_host, host, images, n);
    for (const Mode& mode : kModes) {
      Exec card(cuda::Gpu::instance(), mode.math);
      nn::EarlyExitRunner runner(plan, host.target(), 16);
      EXPECT_TRUE(near(all_logits(runner, card, images, n), want, mode.tolerance)) << int(mode.math);
    }
  }
}

std::vector<nn::Outcome> taken(nn::EarlyExitRunner& runner, Exec& exec, const float* images, i64 n,
                               const nn::Thresholds& thresholds, const nn::ExitRule& rule) {
  std::vector<nn::Outcome> outcomes(static_cast<size_t>(n));
  runner.run(exec, images, n, thresholds, rule, outcomes);
  return outcomes;
}

// Every set of exits, all and none leaving included; each three times, so that graphs are captured and
// replayed.
void expect_the_hosts_exits(nn::EarlyExitNetwork net, const nn::ExitRule& rule) {
  SCOPED_TRACE(std::string(confidence_name(rule.confidence)) + (rule.cascade ? ", cascade" : ""));
  constexpr i64 n = 45;
  const std::vector<float> images = sample_images(n);
  const auto plan = std::make_shared<const nn::Plan>(nn::deployable(net));
  Exec host, card(cuda::Gpu::instance(), cuda::Math::f32);
  nn::EarlyExitRunner on_host(plan, host.target(), 64), on_card(plan, host.target(), 32);
  const i64 image = plan->buffers[0];
  // In the middle of what the samples say, and away from any single one.
  const auto middle = [&](nn::Thresholds all_leave_at) {
    if (rule.confidence == nn::Confidence::patience) return 2.0f;
    std::vector<float> said;
    for (const nn::Outcome& o : taken(on_host, host, images.data(), n, all_leave_at, rule))
      said.push_back(o.confidence);
    std::sort(said.begin(), said.end());
    return (said[n / 2] + said[n / 2 + 1]) / 2;
  };
  const float t0 = middle({0.0f, {}}), t1 = middle({{}, 0.0f}), never = 1e9f;
  for (const nn::Thresholds& thresholds : std::vector<nn::Thresholds>{
           {t0, t1}, {t0, {}}, {{}, t1}, {{}, {}}, {0.0f, t1}, {never, t1}, {never, never}}) {
    const auto want = taken(on_host, host, images.data(), n, thresholds, rule);
    for (int again = 0; again < 3; ++again) {
      const auto got = taken(on_card, card, images.data(), n, thresholds, rule);
      for (size_t i = 0; i < want.size(); ++i) {
        EXPECT_EQ(got[i].exit, want[i].exit) << i;
        EXPECT_EQ(got[i].predicted, want[i].predicted) << i;
        EXPECT_EQ(got[i].macs, want[i].macs) << i;
        EXPECT_NEAR(got[i].confidence, want[i].confidence, 1e-4) << i;
      }
      // A sample's bits do not depend on its company.
      if (again < 2) continue;
      for (const i64 i : {i64{0}, i64{31}, n - 1}) {
        const auto alone = taken(on_card, card, images.data() + i * image, 1, thresholds, rule);
        EXPECT_EQ(alone[0].confidence, got[size_t(i)].confidence) << i;
        EXPECT_EQ(alone[0].exit, got[size_t(i)].exit) << i;
      }
    }
  }
}

TEST(CudaPlan, TakesTheHostsExits) {
  OFFRAMP_NEEDS_CARD();
  for (const nn::Confidence kind : nn::kConfidences)
    expect_the_hosts_exits(sample_network(1, nn::is_learned(kind)),
                           {.confidence = kind, .temperature = {0.5f, 2.0f, 1.0f}});
}

TEST(CudaPlan, CascadesLikeTheHost) {
  OFFRAMP_NEEDS_CARD();
  for (const nn::Confidence kind : {nn::Confidence::margin, nn::Confidence::cumulative})
    expect_the_hosts_exits(sample_network(),
                           {.confidence = kind, .temperature = {0.5f, 2.0f, 1.0f}, .cascade = true});
}

TEST(CudaPlan, LearnedConfidencesAreTheHosts) {
  OFFRAMP_NEEDS_CARD();
  nn::EarlyExitNetwork net = sample_network(1, true);
  constexpr i64 n = 9;
  const std::vector<float> images = sample_images(n);
  const auto plan = std::make_shared<const nn::Plan>(nn::deployable(net));
  Exec host, card(cuda::Gpu::instance(), cuda::Math::f32);
  std::vector<float> logits[2], own[2];
  for (int i = 0; i < 2; ++i) {
    nn::EarlyExitRunner runner(plan, host.target(), 4);
    logits[i].resize(size_t(n * 3 * plan->classes)), own[i].resize(n * 3);
    runner.run_all(i ? card : host, images.data(), n, logits[i].data(), own[i].data());
  }
  EXPECT_TRUE(near(logits[1], logits[0], 2e-5));
  for (i64 i = 0; i < n * 3; ++i) {
    if (i % 3 == 2)
      EXPECT_TRUE(std::isinf(own[1][size_t(i)]));
    else
      EXPECT_NEAR(own[1][size_t(i)], own[0][size_t(i)], 1e-4);
  }
}

// One time for every call, from its own launches, and the network computes afterwards what it did before.
void expect_times(const nn::Plan& recorded, i64 n, int multiprocessors, i64 blocks) {
  const SupposedCard supposed(multiprocessors);
  const std::vector<float> images = sample_images(n);
  const auto plan = std::make_shared<const nn::Plan>(recorded);
  for (const cuda::Math math : {cuda::Math::f32, cuda::Math::bf16}) {
    Exec card(cuda::Gpu::instance(), math);
    const auto runner = nn::CardRunner::make(card, plan, n);
    std::vector<float> before(size_t(n * 3 * plan->classes)), after = before;
    runner->run_all(card, images.data(), n, before.data(), nullptr);
    for (i64 last = 0; last < i64(plan->stages.size()); ++last) {
      const auto times = runner->time_steps(card, last, n, 3);
      std::vector<const nn::Step*> steps;
      for (i64 s = 0; s <= last; ++s)
        for (const auto* part : {&plan->stages[size_t(s)].body, &plan->stages[size_t(s)].head})
          for (const nn::Step& step : *part) steps.push_back(&step);
      size_t timed = 0;
      i64 in_one = 0;
      for (const auto& t : times) {
        ASSERT_LE(timed + t.steps.size(), steps.size());
        for (const nn::Step& step : t.steps) EXPECT_EQ(&step, steps[timed++]);
        EXPECT_GT(t.us, 0) << t.kernel;
        EXPECT_LT(t.us, 60e6) << t.kernel;
        const std::string kernel(t.kernel), family = kernel.substr(0, kernel.find('/'));
        EXPECT_TRUE(kernel.ends_with("/cuda")) << kernel;
        in_one += family == "mbconv";
        EXPECT_EQ(t.steps.size() > 1, family == "mbconv" || family == "scaled_project");
        if (t.steps.size() == 1) {
          EXPECT_EQ(t.dims, nn::dims_text(nn::at_batch(t.steps.front().dims, n)));
        }
        EXPECT_EQ(t.dims.substr(0, t.dims.find(' ')), family);
      }
      EXPECT_EQ(timed, steps.size());
      EXPECT_EQ(in_one, last + 1 == i64(plan->stages.size()) ? blocks : std::min(in_one, blocks));
    }
    EXPECT_EQ(card.recorder, nullptr);
    EXPECT_EQ(card.gpu()->times, nullptr);
    runner->run_all(card, images.data(), n, after.data(), nullptr);
    EXPECT_EQ(before, after);
    i64 weights = 0;
    for (const nn::PlanWeight& w : plan->weights) weights += 4 * w.value.count();
    EXPECT_EQ(runner->weight_bytes(), weights);
    EXPECT_GT(runner->arena_bytes(), n * *std::max_element(plan->buffers.begin(), plan->buffers.end()) *
                                         (math == cuda::Math::bf16 ? 2 : 4));
  }
}

TEST(CudaPlan, CallsAreTimedInsideTheCapturedPass) {
  OFFRAMP_NEEDS_CARD();
  nn::EarlyExitNetwork net = sample_network();
  expect_times(nn::record(net), 5, 4, 0);  // normalisations keep their own calls
  expect_times(nn::deployable(net), 5, 4, 0);
  expect_times(nn::deployable(net), 2, 132, 4);
}

// One image through the networks of the spaces, on as many multiprocessors as an H100 has.
TEST(CudaPlan, OneImageIsOneLaunchABlock) {
  OFFRAMP_NEEDS_CARD();
  if (cuda::Gpu::instance().properties().shared_per_block < 227 * 1024)
    GTEST_SKIP() << "a card whose blocks have less shared memory than an H100's";
  const SupposedCard supposed(132);
  for (const char* name : {"aebnas", "cifar"}) {
    const nas::Space space = nas::Space::load(name);
    for (const nas::Genotype& genotype : {space.min_genotype(), space.max_genotype()}) {
      nn::FreshParameters fresh{Rng(1)};
      nn::EarlyExitNetwork net(
          space.decode(genotype, {.classes = 10, .channels = 3, .height = 32, .width = 32}), fresh);
      const nn::Plan plan = nn::deployable(net);
      for (const cuda::Math math : {cuda::Math::f32, cuda::Math::bf16}) {
        Exec card(cuda::Gpu::instance(), math);
        i64 depthwise = 0, blocks = 0;
        for (const nn::PlanStage& stage : plan.stages)
          for (const auto* steps : {&stage.body, &stage.head}) {
            for (const nn::Step& s : *steps)
              depthwise += std::holds_alternative<kernels::DepthwiseDims>(s.dims);
            for (const nn::PlanPart& part : nn::parts_of(plan, *steps)) {
              if (!part.block) continue;
              const kernels::MBConvDims d = part.block->dims(1);
              blocks += math == cuda::Math::bf16 ? kernels::mbconv_fits<Bf16>(card, d)
                                                 : kernels::mbconv_fits<float>(card, d);
            }
          }
        EXPECT_GT(blocks, 0) << name;
        EXPECT_EQ(blocks, depthwise) << name << int(math);
      }
    }
  }
}

}  // namespace
}  // namespace offramp