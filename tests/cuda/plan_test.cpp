// Plans on the card against the host's: logits of every exit, and the exits that are taken.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/error.h"
#include "nn/plan/early_exit.h"
#include "nn/record.h"
#include "tests/cuda/modes.h"
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
TEST(CudaPlan, TakesTheHostsExits) {
  OFFRAMP_NEEDS_CARD();
  nn::EarlyExitNetwork net = sample_network();
  constexpr i64 n = 45;
  const std::vector<float> images = sample_images(n);
  const auto plan = std::make_shared<const nn::Plan>(nn::deployable(net));
  Exec host, card(cuda::Gpu::instance(), cuda::Math::f32);
  nn::EarlyExitRunner on_host(plan, host.target(), 64), on_card(plan, host.target(), 32);
  const i64 image = plan->buffers[0];
  for (const nn::Confidence kind :
       {nn::Confidence::margin, nn::Confidence::max_probability, nn::Confidence::entropy}) {
    nn::ExitRule rule{.confidence = kind, .temperature = {0.5f, 2.0f, 1.0f}};
    // In the middle of what the samples say, and away from any single one.
    const auto middle = [&](nn::Thresholds all_leave_at) {
      std::vector<float> said;
      for (const nn::Outcome& o : taken(on_host, host, images.data(), n, all_leave_at, rule))
        said.push_back(o.confidence);
      std::sort(said.begin(), said.end());
      return (said[n / 2] + said[n / 2 + 1]) / 2;
    };
    const float t0 = middle({0.0f, {}}), t1 = middle({{}, 0.0f});
    for (const nn::Thresholds& thresholds :
         std::vector<nn::Thresholds>{{t0, t1}, {t0, {}}, {{}, t1}, {{}, {}}, {0.0f, t1}, {1.5f, 1.5f}}) {
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
        for (const i64 i : {i64{0}, i64{31}, n - 1}) {
          const auto alone = taken(on_card, card, images.data() + i * image, 1, thresholds, rule);
          EXPECT_EQ(alone[0].confidence, got[size_t(i)].confidence) << i;
          EXPECT_EQ(alone[0].exit, got[size_t(i)].exit) << i;
        }
      }
    }
  }
}

TEST(CudaPlan, RefusesRulesThatLookBack) {
  OFFRAMP_NEEDS_CARD();
  nn::EarlyExitNetwork net = sample_network();
  const auto plan = std::make_shared<const nn::Plan>(nn::deployable(net));
  Exec card(cuda::Gpu::instance(), cuda::Math::f32);
  nn::EarlyExitRunner runner(plan, default_target(), 4);
  const std::vector<float> images = sample_images(1);
  nn::Outcome outcome;
  for (const nn::ExitRule& rule :
       {nn::ExitRule{.confidence = nn::Confidence::patience},
        nn::ExitRule{.confidence = nn::Confidence::cumulative}, nn::ExitRule{.cascade = true}})
    EXPECT_THROW(runner.run(card, images.data(), 1, {0.5f, 0.5f}, rule, {&outcome, 1}), Error);
}

}  // namespace
}  // namespace offramp
