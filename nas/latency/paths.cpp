#include "nas/latency/paths.h"

#include <algorithm>

#include "kernels/rng.h"
#include "kernels/timing.h"
#include "nas/latency/predict.h"
#include "nn/plan/runner.h"

namespace offramp::nas {

PathLatency predicted_paths(const LatencyTable& table, const nn::Plan& plan, const Thresholds& thresholds) {
  const std::vector<StageLatency> stages = predict(table, plan);
  return {leave_us(plan, stages, thresholds), full_us(stages)};
}

PathLatency measured_paths(Exec& exec, std::shared_ptr<const nn::Plan> plan, const Thresholds& thresholds) {
  nn::PlanRunner runner(*plan, exec.target(), 1, exec.threads());
  std::vector<float> image(std::size_t(plan->buffers[0]));
  Rng rng(1);
  for (float& v : image) v = rng.uniform(-1, 1);
  std::vector<i64> stage_of_exit;
  for (std::size_t s = 0; s < plan->stages.size(); ++s)
    if (plan->stages[s].has_exit()) stage_of_exit.push_back(i64(s));
  // To exit `last`, past the heads of those before it that `in_use` has.
  const auto time = [&](std::size_t last, const std::vector<bool>& in_use) {
    return measure([&] {
             std::copy(image.begin(), image.end(), runner.input());  // a pass overwrites it
             std::size_t exit = 0;
             for (i64 s = 0; s <= stage_of_exit[last]; ++s) {
               runner.run_body(exec, s, 1);
               if (!plan->stages[std::size_t(s)].has_exit()) continue;
               if (exit == last || in_use[exit]) runner.run_head(exec, s, 1);
               ++exit;
             }
           })
        .median_us;
  };
  const std::size_t exits = stage_of_exit.size();
  const std::vector<bool> in_use = exits_in_use(thresholds);
  PathLatency paths;
  for (std::size_t e = 0; e < exits; ++e)
    paths.leave_us.push_back(e + 1 == exits || in_use[e] ? time(e, in_use) : 0);
  const bool all = std::find(in_use.begin(), in_use.end(), false) == in_use.end();
  paths.full_us = all ? paths.leave_us.back() : time(exits - 1, std::vector<bool>(exits - 1, true));
  return paths;
}

}  // namespace offramp::nas
