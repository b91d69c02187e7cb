// The plan: recorded from the real forward, folded, run with early exits.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/error.h"
#include "nn/plan/early_exit.h"
#include "nn/record.h"
#include "tests/nn/sample_network.h"
#include "tests/support/targets.h"

namespace offramp {
namespace {

using namespace offramp::testing;

std::shared_ptr<const nn::Plan> shared(nn::Plan plan) {
  return std::make_shared<const nn::Plan>(std::move(plan));
}

std::vector<float> all_logits(const std::shared_ptr<const nn::Plan>& plan, Target target, int threads,
                              i64 batch, const std::vector<float>& images, i64 n,
                              std::vector<float>* own = nullptr) {
  Exec exec(target, threads);
  nn::EarlyExitRunner runner(plan, target, batch, threads);
  std::vector<float> logits(size_t(n * i64(runner.exits().size()) * plan->classes));
  if (own) own->resize(size_t(n * i64(runner.exits().size())));
  runner.run_all(exec, images.data(), n, logits.data(), own ? own->data() : nullptr);
  return logits;
}

std::vector<float> forward_logits(nn::EarlyExitNetwork& net, const std::vector<float>& images, i64 n) {
  Exec exec(Target::portable, 1);
  const nn::Architecture& a = net.architecture();
  const auto exits = net.forward(
      exec, Variable(Tensor::from<float>(images, {n, a.height, a.width, a.channels})), nn::Mode::evaluate);
  std::vector<float> logits;
  for (i64 i = 0; i < n; ++i)
    for (const Variable& e : exits)
      for (i64 c = 0; c < a.classes; ++c)
        logits.push_back(e.value().contiguous().values<float>()[size_t(i * a.classes + c)]);
  return logits;
}

TEST(Plan, UnfoldedGivesTheBitsOfTheForward) {
  for (bool learned : {false, true}) {
    nn::EarlyExitNetwork net = sample_network(1, learned);
    const std::vector<float> images = sample_images(3);
    const auto plan = shared(nn::record(net));
    EXPECT_EQ(all_logits(plan, Target::portable, 1, 3, images, 3), forward_logits(net, images, 3));
  }
}

TEST(Plan, FoldedComputesTheSameFunction) {
  for (bool learned : {false, true}) {
    nn::EarlyExitNetwork net = sample_network(1, learned);
    const std::vector<float> images = sample_images(4), want = forward_logits(net, images, 4);
    const auto plan = shared(nn::deployable(net));
    for (Target target : runnable_targets()) {
      const std::vector<float> got = all_logits(plan, target, 2, 4, images, 4);
      ASSERT_EQ(got.size(), want.size());
      for (size_t i = 0; i < got.size(); ++i)
        EXPECT_NEAR(got[i], want[i], 2e-5 * (1 + std::fabs(want[i]))) << i;
    }
  }
}

TEST(Plan, FoldingLeavesOneCallPerConvolution) {
  nn::EarlyExitNetwork net = sample_network();
  const nn::Plan raw = nn::record(net), plan = nn::deployable(net);
  i64 norms = 0, acts = 0, residuals = 0;
  Cost macs_raw, macs;
  for (const nn::PlanStage& stage : plan.stages)
    for (const auto* steps : {&stage.body, &stage.head})
      for (const nn::Step& s : *steps) {
        norms += std::holds_alternative<kernels::NormDims>(s.dims);
        acts += std::holds_alternative<kernels::ActDims>(s.dims);
        residuals += s.z >= 0 && std::holds_alternative<kernels::Conv2dDims>(s.dims);
        macs += nn::cost(s);
      }
  for (const nn::PlanStage& stage : raw.stages)
    for (const auto* steps : {&stage.body, &stage.head}) macs_raw += nn::cost(*steps);
  EXPECT_EQ(norms, 0);
  EXPECT_EQ(acts, 0);
  EXPECT_EQ(residuals, 2);  // b1, b3
  EXPECT_EQ(macs.macs, macs_raw.macs);
  EXPECT_LT(plan.params(), raw.params());
}

TEST(Plan, RecordingNeedsNoWeights) {
  nn::EarlyExitNetwork real = sample_network();
  nn::MetaParameters none;
  nn::EarlyExitNetwork meta(sample_architecture(), none);
  const nn::Plan a = nn::deployable(real), b = nn::deployable(meta);
  ASSERT_EQ(a.stages.size(), b.stages.size());
  EXPECT_EQ(a.buffers, b.buffers);
  EXPECT_EQ(a.params(), b.params());
  for (size_t s = 0; s < a.stages.size(); ++s)
    for (auto part : {&nn::PlanStage::body, &nn::PlanStage::head}) {
      ASSERT_EQ((a.stages[s].*part).size(), (b.stages[s].*part).size());
      for (size_t i = 0; i < (a.stages[s].*part).size(); ++i) {
        const nn::Step &x = (a.stages[s].*part)[i], &y = (b.stages[s].*part)[i];
        EXPECT_EQ(x.dims, y.dims);
        EXPECT_EQ(nn::cost(x), nn::cost(y));
        EXPECT_EQ(a.weights[size_t(std::max(x.w, 0))].name, b.weights[size_t(std::max(y.w, 0))].name);
      }
    }
  EXPECT_THROW(nn::PlanRunner(b, Target::portable, 1), Error);
}

TEST(Plan, SameBitsInAnyCompany) {
  nn::EarlyExitNetwork net = sample_network();
  const auto plan = shared(nn::deployable(net));
  const i64 n = 37;
  const std::vector<float> images = sample_images(n);
  for (Target target : runnable_targets()) {
    const std::vector<float> one = all_logits(plan, target, 1, 1, images, n);
    for (i64 batch : {2, 5, 16, 64})
      for (int threads : {1, 2})
        EXPECT_EQ(all_logits(plan, target, threads, batch, images, n), one)
            << target_name(target) << " batch " << batch << " threads " << threads;
  }
}

// What a sample is told at `exit`, written down a second time from the definitions.
nn::Decision told(const nn::ExitRule& rule, const float* logits, const float* own, i64 classes,
                  const nn::Thresholds& thresholds, i64 exit) {
  std::vector<nn::Decision> met;
  std::vector<float> sum(size_t(classes), 0);  // of log-probabilities
  for (i64 e = 0; e <= exit; ++e) {
    if (e < exit && !thresholds[size_t(e)]) continue;
    std::vector<float> scaled(logits + e * classes, logits + (e + 1) * classes);
    double total = 0;
    for (float& l : scaled)
      total += std::exp(l /= rule.temperature.empty() ? 1 : rule.temperature[size_t(e)]);
    for (size_t c = 0; c < scaled.size(); ++c) {
      sum[c] += float(scaled[c] - std::log(total));
      if (rule.cascade) scaled[c] = sum[c] / float(met.size() + 1);
    }
    met.push_back(nn::decide(rule.confidence, scaled.data(), classes));
    if (nn::is_learned(rule.confidence)) met.back().confidence = 1 / (1 + std::exp(-own[e]));
  }
  nn::Decision decision = met.back();
  if (rule.confidence == nn::Confidence::patience) {
    decision.confidence = 0;
    for (size_t e = met.size(); e-- > 0 && met[e].predicted == decision.predicted;) ++decision.confidence;
  }
  if (rule.confidence == nn::Confidence::cumulative ||
      rule.confidence == nn::Confidence::learned_cumulative) {
    double stay = 1, left = 0;
    for (const nn::Decision& d : met) {
      left += double(d.confidence) * stay;
      stay *= 1 - double(d.confidence);
    }
    decision.confidence = float(left);
  }
  return decision;
}

// The runner's exits are those that the stored logits pick, at any batch; the MACs it reports are those of
// the kernels it called.
TEST(EarlyExit, RunnerAgreesWithOfflineThresholdsAndCountedMacs) {
  const i64 n = 64;
  const std::vector<float> images = sample_images(n);
  const Target target = default_target();
  struct {
    std::shared_ptr<const nn::Plan> plan;
    std::vector<float> logits, own;
  } networks[2];  // the second's exits learn a confidence
  for (bool learned : {false, true}) {
    nn::EarlyExitNetwork net = sample_network(1, learned);
    networks[learned].plan = shared(nn::deployable(net));
    networks[learned].logits =
        all_logits(networks[learned].plan, target, 1, 16, images, n, &networks[learned].own);
  }

  std::vector<nn::ExitRule> rules;
  for (nn::Confidence kind : nn::kConfidences)
    for (bool cascade : {false, true})
      rules.push_back({kind, cascade ? std::vector<float>{0.5f, 2.0f, 1.5f} : std::vector<float>(), cascade});
  rules.push_back({nn::Confidence::margin, {0.25f, 4.0f, 1.0f}, false});
  for (const nn::ExitRule& rule : rules) {
    SCOPED_TRACE(std::string(nn::confidence_name(rule.confidence)) + (rule.cascade ? ", cascade" : ""));
    const auto& [plan, logits, own] = networks[nn::is_learned(rule.confidence)];
    const i64 classes = plan->classes;
    const auto at = [&](i64 sample, i64 exit, const nn::Thresholds& thresholds) {
      return told(rule, logits.data() + sample * 3 * classes, own.data() + sample * 3, classes, thresholds,
                  exit);
    };
    // Halfway between observed confidences; patience: two that agree.
    const auto median = [&](i64 exit) {
      if (rule.confidence == nn::Confidence::patience) return float(1 + exit);
      std::vector<float> all;
      for (i64 s = 0; s < n; ++s) all.push_back(at(s, exit, {5.0f, 5.0f}).confidence);
      std::sort(all.begin(), all.end());
      return (all[size_t(n / 2)] + all[size_t(n / 2 - 1)]) / 2;
    };
    const nn::Thresholds cases[] = {{median(0), median(1)},
                                    {std::nullopt, median(1)},
                                    {median(0), std::nullopt},
                                    {std::nullopt, std::nullopt},
                                    {0.0f, 0.0f},
                                    {5.0f, median(1)},
                                    {5.0f, 5.0f}};
    i64 early = 0;
    for (const nn::Thresholds& thresholds : cases) {
      for (i64 batch : {1, 7, 64}) {
        Recorder recorder;
        Exec exec(target, 2);
        exec.recorder = &recorder;
        nn::EarlyExitRunner runner(plan, target, batch, 2);
        std::vector<nn::Outcome> outcomes(static_cast<size_t>(n));
        runner.run(exec, images.data(), n, thresholds, rule, outcomes);
        i64 total = 0;
        for (i64 s = 0; s < n; ++s) {
          i64 exit = 2;
          for (i64 e = 1; e >= 0; --e)
            if (thresholds[size_t(e)] && at(s, e, thresholds).confidence >= *thresholds[size_t(e)]) exit = e;
          const nn::Outcome& o = outcomes[size_t(s)];
          EXPECT_EQ(o.exit, exit);
          EXPECT_EQ(o.predicted, at(s, exit, thresholds).predicted);
          EXPECT_NEAR(o.confidence, at(s, exit, thresholds).confidence, 1e-5);
          total += o.macs;
          early += exit == 1;
        }
        EXPECT_EQ(total, recorder.total().macs);
      }
    }
    EXPECT_GT(early, 0) << "nobody ever left at the second exit: the comparison shows little";
  }
}

// The last output of an early head is the confidence; the others are the classes of the same network without.
TEST(EarlyExit, LearnedConfidenceIsAnOutputOfItsOwn) {
  nn::EarlyExitNetwork net = sample_network(1, /*learned=*/true);
  const auto plan = shared(nn::record(net));
  const i64 n = 9;
  const std::vector<float> images = sample_images(n);
  std::vector<float> own;
  const std::vector<float> logits = all_logits(plan, Target::portable, 1, 4, images, n, &own);
  EXPECT_EQ(logits, forward_logits(net, images, n));
  Exec exec(Target::portable, 1);
  std::vector<Variable> learned;
  net.forward(exec, Variable(Tensor::from<float>(images, {n, 14, 12, 3})), nn::Mode::evaluate, false,
              &learned);
  ASSERT_EQ(learned.size(), 2u);
  for (i64 s = 0; s < n; ++s) {
    for (i64 e = 0; e < 2; ++e)
      EXPECT_EQ(own[size_t(s * 3 + e)], learned[size_t(e)].value().contiguous().values<float>()[size_t(s)]);
    EXPECT_EQ(own[size_t(s * 3 + 2)], INFINITY);
  }
  // Which only such a network has.
  nn::EarlyExitNetwork without = sample_network();
  const auto bare = shared(nn::deployable(without));
  nn::EarlyExitRunner runner(bare, Target::portable, 4);
  std::vector<nn::Outcome> outcomes(4);
  EXPECT_THROW(runner.run(exec, images.data(), 4, {0.5f, 0.5f}, {nn::Confidence::learned}, outcomes), Error);
}

TEST(EarlyExit, RefusesWrongThresholdsAndTargets) {
  nn::EarlyExitNetwork net = sample_network();
  const auto plan = shared(nn::deployable(net));
  Exec exec(Target::portable, 1);
  nn::EarlyExitRunner runner(plan, Target::portable, 4);
  std::vector<nn::Outcome> outcomes(4);
  const std::vector<float> images = sample_images(4);
  EXPECT_THROW(runner.run(exec, images.data(), 4, {0.5f}, {nn::Confidence::margin}, outcomes), Error);
  EXPECT_THROW(runner.run(exec, images.data(), 4, {0.5f, 0.5f}, {nn::Confidence::margin, {1.0f}}, outcomes),
               Error);
  for (Target target : runnable_targets()) {
    if (target == Target::portable) continue;
    Exec other(target, 1);
    EXPECT_THROW(runner.run(other, images.data(), 4, {0.5f, 0.5f}, {nn::Confidence::margin}, outcomes),
                 Error);
  }
}

TEST(Plan, RefusesWhatDoesNotFit) {
  nn::EarlyExitNetwork net = sample_network();
  const nn::Plan good = nn::deployable(net);
  EXPECT_NO_THROW(nn::require_valid(good));
  const auto broken = [&](auto&& change) {
    nn::Plan plan = good;
    change(plan);
    EXPECT_THROW(nn::require_valid(plan), Error);
  };
  broken([](nn::Plan& p) { p.stages[0].body[0].y = 1000; });
  broken([](nn::Plan& p) { p.stages[0].body[1].x = p.stages[0].body[2].y; });
  broken([](nn::Plan& p) { p.stages[0].body[1].y = p.stages[0].body[0].y; });
  broken([](nn::Plan& p) { p.stages[0].body[0].w = -1; });
  broken([](nn::Plan& p) { p.buffers[2] += 1; });
  broken([](nn::Plan& p) { p.stages[1].features = 0; });
  broken([](nn::Plan& p) { p.stages.back().head.clear(); });
  broken([](nn::Plan& p) { std::get<kernels::Conv2dDims>(p.stages[0].body[0].dims).stride = 0; });
  broken([](nn::Plan& p) { std::get<kernels::Conv2dDims>(p.stages[0].body[0].dims).c_out = i64{1} << 60; });
  broken([](nn::Plan& p) { std::get<kernels::Conv2dDims>(p.stages[0].body[0].dims).pad = -1; });
  broken([](nn::Plan& p) { p.stages[2].body[0].x = p.stages[0].body[0].y; });  // crosses a stage
}

}  // namespace
}  // namespace offramp
