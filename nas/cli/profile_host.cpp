// offramp profile on the host: every kernel call against the roofline of its caches
#include <algorithm>
#include <cstdio>

#include "kernels/depthwise/depthwise.h"
#include "kernels/exec.h"
#include "kernels/roofline/roofline.h"
#include "nas/cli/profile.h"
#include "nas/train/timed_step.h"
#include "nn/plan/runner.h"

namespace offramp::cli {
namespace {

using nlohmann::ordered_json;

ordered_json to_json(const kernels::Roofline& roof) {
  ordered_json levels = ordered_json::array();
  for (const auto& l : roof.levels)
    levels.push_back({{"kib", l.footprint >> 10},
                      {"read_gbytes_per_s", l.read_bytes_per_second / 1e9},
                      {"update_gbytes_per_s", l.update_bytes_per_second / 1e9}});
  return {{"gmacs_per_s", roof.macs_per_second / 1e9},
          {"stream_gbytes_per_s", roof.stream_bytes_per_second / 1e9},
          {"levels", levels}};
}

// The least time of all calls of a step inside the running network. The first one's weights come from the
// cache that holds all that one pass touches, those of later groups of images from the one that holds the
// call's own operands; other operands were just written.
double least_seconds(const kernels::Roofline& roof, const nn::Plan& plan, const nn::PlanRunner::StepTime& s,
                     i64 batch, i64 pass_bytes, int threads) {
  kernels::Roofline::Call call{
      .cost = nn::cost(*s.step, s.images), .weight_bytes = 0, .weight_footprint = pass_bytes};
  for (int weight : {s.step->w, s.step->bias})
    if (weight >= 0) call.weight_bytes += 4 * plan.weights[std::size_t(weight)].value.count();
  call.weight_bytes = std::min(call.weight_bytes, call.cost.bytes_read);
  if (const auto* d = std::get_if<kernels::DepthwiseDims>(&s.step->dims))
    call.cost.macs = s.images * kernels::depthwise_valid_macs(*d);
  const double first = roof.seconds(call, threads);
  call.weight_footprint = 0;
  // The last group may be smaller than the others.
  return std::min(first + double(s.calls - 1) * roof.seconds(call, threads),
                  first * double(batch) / double(s.images));
}

}  // namespace

void profile_plan_on_host(Console& console, const ProfileRequest& r) {
  const ProfiledPlan path = profiled_plan(r);
  const nn::Plan& plan = *path.plan;
  Exec exec(default_target(), r.threads);
  nn::PlanRunner runner(plan, exec.target(), r.batch, exec.threads());
  const auto pass = [&] {
    std::copy(path.images.begin(), path.images.end(), runner.input());  // a pass overwrites them
    for (i64 s = 0; s <= path.last_stage; ++s) {
      runner.run_body(exec, s, r.batch);
      if (plan.stages[std::size_t(s)].has_exit()) runner.run_head(exec, s, r.batch);
    }
  };
  const kernels::Roofline roof = kernels::measure_roofline();
  const Timing whole = measure(pass);
  // Each call timed inside the running network, in the state in which it really runs.
  std::copy(path.images.begin(), path.images.end(), runner.input());
  const std::vector<nn::PlanRunner::StepTime> steps =
      runner.time_steps(exec, path.last_stage, r.batch, std::clamp<i64>(whole.runs, 5, 200));

  double sum = 0;
  i64 macs = 0;
  for (const auto& s : steps) sum += s.us;
  i64 pass_bytes = runner.weight_bytes();
  for (const auto& s : steps) pass_bytes += nn::cost(*s.step, r.batch).bytes_written;
  ordered_json calls = ordered_json::array();
  std::vector<std::vector<std::string>> rows{
      {"kernel", "dims", "calls", "MACs", "bytes", "us", "share", "% of roof"}};
  for (const auto& s : steps) {
    // Bytes: the weights pass once per call.
    const Cost all = nn::cost(*s.step, r.batch), one = nn::cost(*s.step, 1), two = nn::cost(*s.step, 2);
    const i64 bytes =
        all.bytes_read + all.bytes_written + (s.calls - 1) * (2 * one.bytes_read - two.bytes_read);
    const Cost cost{all.macs, all.other_ops, bytes - all.bytes_written, all.bytes_written};
    const double share = s.us / sum,
                 of_roof = least_seconds(roof, plan, s, r.batch, pass_bytes, exec.threads()) * 1e6 / s.us;
    macs += cost.macs;
    const std::string dims = nn::dims_text(nn::at_batch(s.step->dims, s.images));
    const std::string kernel(s.kernel);
    calls.push_back(cli::to_json({kernel, dims, s.calls, cost.macs, bytes, s.us, share, of_roof}));
    char time[32];
    std::snprintf(time, sizeof time, "%.2f", s.us);
    rows.push_back({kernel, dims.substr(dims.find(' ') + 1), std::to_string(s.calls), format_count(cost.macs),
                    format_count(bytes), time, format_percent(share), format_percent(of_roof)});
  }
  const i64 weights = runner.weight_bytes(), arena = runner.arena_bytes();
  if (console.options.json)
    return console.print_json(
        {{"batch", r.batch},
         {"threads", exec.threads()},
         {"device", "cpu"},
         {"target", target_name(exec.target())},
         {"exit", path.exit},
         {"latency_us", to_json(whole, 1)},
         {"macs", macs},
         {"memory_bytes", {{"weights", weights}, {"arena", arena}, {"peak", weights + arena}}},
         {"roofline", to_json(roof)},
         {"calls", calls}});
  char text[400];
  std::snprintf(text, sizeof text,
                "batch %lld, %d thread(s), %s: %.1f us (p10 %.1f, p90 %.1f, %lld runs), %s MACs\n"
                "memory: weights %s, arena %s bytes; ",
                static_cast<long long>(r.batch), exec.threads(),
                std::string(target_name(exec.target())).c_str(), whole.median_us, whole.p10_us, whole.p90_us,
                static_cast<long long>(whole.runs), format_count(macs).c_str(), format_count(weights).c_str(),
                format_count(arena).c_str());
  console.print(text + roof.text() + "\n" + table(rows));
}

void profile_training_on_host(Console& console, const ProfileRequest& r) {
  Exec exec(default_target(), r.threads);
  nas::TimedStep step(exec, profiled_architecture(r), r.batch);
  const Timing timing = measure([&] { step(); });
  const double images_per_second = double(r.batch) / (timing.median_us / 1e6);
  if (console.options.json)
    return console.print_json({{"batch", r.batch},
                               {"threads", exec.threads()},
                               {"device", "cpu"},
                               {"target", target_name(exec.target())},
                               {"step_ms", to_json(timing, 1e-3)},
                               {"images_per_s", images_per_second}});
  char text[160];
  std::snprintf(text, sizeof text,
                "training step, batch %lld, %d thread(s), %s: %.2f ms (p10 %.2f, p90 %.2f), %.0f images/s\n",
                static_cast<long long>(r.batch), exec.threads(),
                std::string(target_name(exec.target())).c_str(), timing.median_us / 1e3, timing.p10_us / 1e3,
                timing.p90_us / 1e3, images_per_second);
  console.print(text);
}

}  // namespace offramp::cli
