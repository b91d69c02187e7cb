// offramp profile: time every kernel call of a deployed plan, or a training step
#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "kernels/depthwise/depthwise.h"
#include "kernels/exec.h"
#include "kernels/roofline/roofline.h"
#include "kernels/timing.h"
#include "nas/cli/verb.h"
#include "nas/space/space.h"
#include "nn/loss.h"
#include "nn/optim/sgd.h"
#include "nn/plan/model.h"
#include "nn/record.h"

namespace offramp::cli {
namespace {

using nlohmann::ordered_json;

struct Request {
  std::string model, space, genotype;
  i64 batch = 1, exit = -1, channels = 3, classes = 10;
  int threads = 1;
};

nn::EarlyExitNetwork random_network(const Request& r) {
  const nas::Space space = nas::Space::load(r.space);
  nn::FreshParameters fresh{Rng(1)};
  return nn::EarlyExitNetwork(space.decode(space.canonical(space.from_text(r.genotype)),
                                           {.classes = r.classes, .channels = r.channels}),
                              fresh);
}

ordered_json to_json(const Timing& t, double scale) {
  return {{"median", t.median_us * scale},
          {"p10", t.p10_us * scale},
          {"p90", t.p90_us * scale},
          {"runs", t.runs}};
}

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

void profile_plan(Console& console, const Request& r) {
  std::shared_ptr<const nn::Plan> plan;
  if (r.model.empty()) {
    nn::EarlyExitNetwork network = random_network(r);
    plan = std::make_shared<const nn::Plan>(nn::deployable(network));
  } else {
    plan = nn::load_model(r.model).plan;
  }
  const std::vector<nn::ExitCost> exits = nn::exit_costs(*plan);
  const i64 exit = r.exit < 0 ? i64(exits.size()) - 1 : r.exit;
  if (exit >= i64(exits.size()))
    throw usage_error("--exit " + std::to_string(exit) + ": the network has exits 0 to " +
                      std::to_string(exits.size() - 1));
  const i64 last_stage = exits[std::size_t(exit)].stage;

  Exec exec(default_target(), r.threads);
  nn::PlanRunner runner(*plan, exec.target(), r.batch, exec.threads());
  Rng rng(1);
  std::vector<float> images(std::size_t(r.batch * plan->buffers[0]));
  for (float& v : images) v = rng.uniform(-1, 1);
  const auto path = [&] {
    std::copy(images.begin(), images.end(), runner.input());  // a pass overwrites them
    for (i64 s = 0; s <= last_stage; ++s) {
      runner.run_body(exec, s, r.batch);
      if (plan->stages[std::size_t(s)].has_exit()) runner.run_head(exec, s, r.batch);
    }
  };
  const kernels::Roofline roof = kernels::measure_roofline();
  const Timing whole = measure(path);
  // Each call timed inside the running network, in the state in which it really runs.
  std::copy(images.begin(), images.end(), runner.input());
  const std::vector<nn::PlanRunner::StepTime> steps =
      runner.time_steps(exec, last_stage, r.batch, std::clamp<i64>(whole.runs, 5, 200));

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
                 of_roof = least_seconds(roof, *plan, s, r.batch, pass_bytes, exec.threads()) * 1e6 / s.us;
    macs += cost.macs;
    const std::string dims = nn::dims_text(nn::at_batch(s.step->dims, s.images));
    const std::string kernel(s.kernel);
    calls.push_back({{"kernel", kernel},
                     {"dims", dims},
                     {"calls", s.calls},
                     {"macs", cost.macs},
                     {"bytes", bytes},
                     {"us", s.us},
                     {"share", share},
                     {"roofline", of_roof}});
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
         {"exit", exits[std::size_t(exit)].name},
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

void profile_training(Console& console, const Request& r) {
  if (!r.model.empty())
    throw usage_error("--train needs --space and --genotype: a model file is folded for inference");
  nn::EarlyExitNetwork network = random_network(r);
  const nn::Architecture& a = network.architecture();
  Exec exec(default_target(), r.threads);
  nn::Sgd optimizer(network.named_parameters(), {.momentum = 0.9, .weight_decay = 4e-5});
  Tensor images = Tensor::empty({r.batch, a.height, a.width, a.channels}),
         labels = Tensor::empty({r.batch}, DType::i64);
  Rng rng(1);
  for (float& v : images.values<float>()) v = rng.uniform(-1, 1);
  for (i64& label : labels.values<i64>()) label = rng.below(u32(a.classes));
  const Timing step = measure([&] {
    optimizer.zero_grad();
    const auto logits = network.forward(exec, Variable(images), nn::Mode::train);
    backward(exec, nn::exit_loss(exec, logits, labels));
    optimizer.step(exec, 1e-3);
  });
  const double images_per_second = double(r.batch) / (step.median_us / 1e6);
  if (console.options.json)
    return console.print_json({{"batch", r.batch},
                               {"threads", exec.threads()},
                               {"device", "cpu"},
                               {"target", target_name(exec.target())},
                               {"step_ms", to_json(step, 1e-3)},
                               {"images_per_s", images_per_second}});
  char text[160];
  std::snprintf(text, sizeof text,
                "training step, batch %lld, %d thread(s), %s: %.2f ms (p10 %.2f, p90 %.2f), %.0f images/s\n",
                static_cast<long long>(r.batch), exec.threads(),
                std::string(target_name(exec.target())).c_str(), step.median_us / 1e3, step.p10_us / 1e3,
                step.p90_us / 1e3, images_per_second);
  console.print(text);
}

}  // namespace

void run_profile(Console& console, const Words& words) {
  Request r;
  std::string device, precision;
  bool train = false;
  Args args(
      console, "profile", "time every kernel call of a model, or a training step",
      {"offramp profile --model run/chosen.safetensors --batch 1 --threads 1",
       "offramp profile --space small --genotype \"$(offramp space sample small)\" --train --batch 64"});
  args.option("--model M", r.model, "model file")
      .option("--space S", r.space, "or a search space and a genotype, with random weights")
      .option("--genotype G", r.genotype, "comma-separated genes")
      .option("--classes N", r.classes, "of the space's network, default 10", 2, 100000)
      .option("--channels N", r.channels, "of its input, default 3", 1, 1024)
      .option("--batch B", r.batch, "images computed together, default 1", 1, 65536)
      .option("--exit K", r.exit, "the path that leaves at exit K (from 0), default the last", 0, 1000)
      .flag("--train", train, "time forward, backward and update instead")
      .threads(r.threads)
      .device(device, precision, "f32");
  if (!args.parse(words)) return;
  if (device != "cpu")
    throw usage_error(
        "kernels are timed on the CPU only; for a card see build/bench/gpu_bench --kernels");
  if (r.model.empty() == (r.space.empty() || r.genotype.empty()))
    throw usage_error("profile: give either --model, or --space and --genotype");
  if (train)
    profile_training(console, r);
  else
    profile_plan(console, r);
}

}  // namespace offramp::cli
