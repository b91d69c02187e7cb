// offramp profile on a card: every kernel call against what this card was measured to do
#ifdef OFFRAMP_CUDA
#include <algorithm>
#include <cstdio>

#include "kernels/cuda/timing.h"
#include "kernels/roofline/card_limits.h"
#include "nas/cli/context.h"
#include "nas/cli/profile.h"
#include "nas/train/timed_step.h"
#include "nn/plan/card_runner.h"

namespace offramp::cli {
namespace {

using nlohmann::ordered_json;

// Bytes as the card moves them: parameters are floats, activations have `element` bytes. Of steps in one call
// only what the first reads and the last writes.
i64 moved_bytes(const nn::Plan& plan, std::span<const nn::Step> steps, i64 n, i64 element) {
  i64 parameters = 0;
  for (const nn::Step& step : steps)
    for (int index : {step.w, step.mean, step.var, step.gamma, step.beta})
      if (index >= 0) parameters += 4 * plan.weights[std::size_t(index)].value.count();
  if (steps.size() > 1)
    return parameters +
           n * element *
               (plan.buffers[std::size_t(steps.front().x)] + plan.buffers[std::size_t(steps.back().y)]);
  const Cost cost = nn::cost(steps.front(), n);
  return parameters + (cost.bytes_read + cost.bytes_written - parameters) / 4 * element;
}

ordered_json to_json(const kernels::CardLimits& limits) {
  return {{"copy_gbytes_per_s", limits.copy_gb_s},
          {"gmacs_per_s", 500 * limits.product_tflop_s},
          {"graph_node_us", limits.node_us}};
}

// What every report about a card begins with.
ordered_json head(const ProfileRequest& r, Exec& exec) {
  return {{"batch", r.batch}, {"threads", exec.threads()},
          {"device", "cuda"}, {"card", exec.gpu()->properties().name},
          {"target", "cuda"}, {"precision", r.precision}};
}

}  // namespace

void profile_plan_on_card(Console& console, const ProfileRequest& r) {
  const ProfiledPlan path = profiled_plan(r);
  Exec exec = make_exec(r.device, r.precision, r.threads);
  cuda::Gpu& gpu = *exec.gpu();
  const auto runner = nn::CardRunner::make(exec, path.plan, r.batch);
  const kernels::CardLimits limits = kernels::measure_card(gpu, exec.math());
  runner->load(exec, path.images.data(), r.batch);
  const cuda::LaunchedTiming whole =
      cuda::measure_launches(gpu, [&] { runner->pass(exec, path.last_stage, r.batch); });
  runner->load(exec, path.images.data(), r.batch);
  const std::vector<nn::CardRunner::StepTime> steps =
      runner->time_steps(exec, path.last_stage, r.batch, std::clamp<i64>(whole.graph.runs, 5, 200));

  double sum = 0;
  i64 macs = 0;
  for (const auto& s : steps) sum += s.us;
  ordered_json calls = ordered_json::array();
  std::vector<std::vector<std::string>> rows{{"kernel", "dims", "MACs", "bytes", "us", "share", "% of roof"}};
  for (const auto& s : steps) {
    i64 its_macs = 0;
    for (const nn::Step& step : s.steps) its_macs += nn::cost(step, r.batch).macs;
    const i64 bytes = moved_bytes(*path.plan, s.steps, r.batch, exec.math() == cuda::Math::bf16 ? 2 : 4);
    const double share = s.us / sum, of_roof = limits.least_us(double(bytes), its_macs) / s.us;
    macs += its_macs;
    const std::string kernel(s.kernel);
    calls.push_back(cli::to_json({kernel, s.dims, 1, its_macs, bytes, s.us, share, of_roof}));
    char time[32];
    std::snprintf(time, sizeof time, "%.2f", s.us);
    rows.push_back({kernel, s.dims.substr(s.dims.find(' ') + 1), format_count(its_macs), format_count(bytes),
                    time, format_percent(share), format_percent(of_roof)});
  }
  const i64 weights = runner->weight_bytes(), arena = runner->arena_bytes();
  if (console.options.json) {
    ordered_json json = head(r, exec);
    json.update({{"exit", path.exit},
                 {"latency_us", to_json(whole.graph, 1)},
                 {"eager_us", to_json(whole.eager, 1)},
                 {"graph_nodes", whole.nodes},
                 {"macs", macs},
                 {"memory_bytes", {{"weights", weights}, {"arena", arena}, {"peak", weights + arena}}},
                 {"roofline", to_json(limits)},
                 {"calls", calls}});
    return console.print_json(json);
  }
  char text[600];
  std::snprintf(
      text, sizeof text,
      "batch %lld, %s, %s: %.1f us as a graph (p10 %.1f, p90 %.1f, %lld runs), %.1f us launch by "
      "launch, %s MACs\n"
      "memory: weights %s, arena %s bytes; copy %.0f GB/s, %s products %.1f GMAC/s, empty graph node "
      "%.2f us\n",
      static_cast<long long>(r.batch), gpu.properties().name.c_str(), r.precision.c_str(),
      whole.graph.median_us, whole.graph.p10_us, whole.graph.p90_us, static_cast<long long>(whole.graph.runs),
      whole.eager.median_us, format_count(macs).c_str(), format_count(weights).c_str(),
      format_count(arena).c_str(), limits.copy_gb_s, r.precision.c_str(), 500 * limits.product_tflop_s,
      limits.node_us);
  console.print(text + table(rows));
}

void profile_training_on_card(Console& console, const ProfileRequest& r) {
  Exec exec = make_exec(r.device, r.precision, r.threads);
  nas::TimedStep step(exec, profiled_architecture(r), r.batch);
  const cuda::LaunchedTiming t = cuda::measure_launches(*exec.gpu(), [&] { step(); });
  const double images_per_second = double(r.batch) / (t.graph.median_us / 1e6);
  if (console.options.json) {
    ordered_json json = head(r, exec);
    json.update({{"step_ms", to_json(t.graph, 1e-3)},
                 {"eager_ms", to_json(t.eager, 1e-3)},
                 {"graph_nodes", t.nodes},
                 {"images_per_s", images_per_second}});
    return console.print_json(json);
  }
  char text[400];
  std::snprintf(
      text, sizeof text,
      "training step, batch %lld, %s, %s: %.3f ms as a graph (p10 %.3f, p90 %.3f), %.3f ms launch by "
      "launch, %.0f images/s\n",
      static_cast<long long>(r.batch), exec.gpu()->properties().name.c_str(), r.precision.c_str(),
      t.graph.median_us / 1e3, t.graph.p10_us / 1e3, t.graph.p90_us / 1e3, t.eager.median_us / 1e3,
      images_per_second);
  console.print(text);
}

}  // namespace offramp::cli
#endif
