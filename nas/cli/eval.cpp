// offramp eval: accuracy and cost of a model on a split, early exits really taken
#include <map>
#include <nlohmann/json.hpp>

#include "data/device_loader.h"
#include "nas/cli/context.h"
#include "nas/cli/data_dirs.h"
#include "nas/cli/model_data.h"
#include "nas/cli/verb.h"
#include "nas/evaluate/evaluate.h"
#include "nas/latency/paths.h"
#include "nas/latency/predict.h"
#include "tensor/npy.h"

namespace offramp::cli {
namespace {

using nlohmann::ordered_json;

struct Counts {
  i64 samples = 0, correct = 0, total_macs = 0, total_own_head = 0;
  std::vector<i64> left, correct_of_left;
  std::map<i64, std::pair<i64, i64>> by_difficulty;  // difficulty -> (samples, sum of exit indices)
};

Counts count(const nas::TakenExits& taken, const std::vector<nn::ExitCost>& exits, const data::Dataset& set) {
  Counts c{.left = std::vector<i64>(exits.size()), .correct_of_left = std::vector<i64>(exits.size())};
  for (std::size_t s = 0; s < taken.outcomes.size(); ++s) {
    const nn::Outcome& o = taken.outcomes[s];
    const bool right = o.predicted == taken.labels[s];
    const nn::ExitCost& exit = exits[std::size_t(o.exit)];
    ++c.samples;
    c.correct += right;
    c.total_macs += o.macs;
    c.total_own_head += exit.prefix_macs + exit.head_macs;
    ++c.left[std::size_t(o.exit)];
    c.correct_of_left[std::size_t(o.exit)] += right;
    if (set.difficulty.empty()) continue;
    auto& [n, sum] = c.by_difficulty[set.difficulty[s]];
    ++n;
    sum += o.exit;
  }
  return c;
}

// Class and exit index of each sample, in the order of the data.
void write_predictions(const std::string& path, const nas::TakenExits& taken) {
  Tensor out = Tensor::empty({i64(taken.outcomes.size()), 2}, DType::i64);
  i64* to = out.data<i64>();
  for (const nn::Outcome& o : taken.outcomes) {
    *to++ = o.predicted;
    *to++ = o.exit;
  }
  write_npy(path, out);
}

// Of every path, and of the average image.
struct Latency {
  nas::PathLatency paths;
  double expected_us = 0;
  std::string source;  // file of the table, "measured"
  Target target;
  i64 threads = 0;
};

Latency latency_of(Exec& exec, const nn::Model& model, const nn::Thresholds& thresholds, const Counts& c,
                   const std::string& table_file) {
  Latency latency{.source = table_file, .target = exec.target(), .threads = exec.threads()};
  if (table_file.empty()) {
    if (exec.gpu())
      throw usage_error("--latency is measured on the CPU; with --device cuda give --latency-table");
    latency.source = "measured";
    latency.paths = nas::measured_paths(exec, model.plan, thresholds);
  } else {
    const nas::LatencyTable table = nas::LatencyTable::load(table_file);
    nas::require_current(table, table_file);
    latency.target = table.machine().target, latency.threads = table.machine().threads;
    latency.paths = nas::predicted_paths(table, *model.plan, thresholds);
  }
  std::vector<double> shares;
  for (i64 left : c.left) shares.push_back(double(left) / double(c.samples));
  latency.expected_us = nas::expected_us(latency.paths.leave_us, shares);
  return latency;
}

std::string in_us(double us) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f us", us);
  return text;
}

}  // namespace

void run_eval(Console& console, const Words& words) {
  std::string path, data, split = "test", predictions, logits, dir, device, precision, latency_table;
  bool want_latency = false;
  std::optional<i64> target;
  i64 batch = 64;
  int threads = 0;
  Args args(console, "eval", "accuracy, exit shares and MACs of a model, early exits really taken",
            {"offramp eval --model run/chosen.safetensors",
             "offramp eval --model m.safetensors --target-macs 500k --json",
             "offramp eval --model m.safetensors --latency --threads 1"});
  args.option("--model M", path, "model file")
      .option("--data D", data, "data set, default: the one it was trained on")
      .choice("--split S", split, {"train", "tune", "test"}, "default test")
      .option("--target-macs X", target, "thresholds from the stored curve for X average MACs")
      .option("--batch B", batch, "images computed together, default 64; does not change the result", 1,
              65536)
      .flag("--latency", want_latency,
            "expected us of an image and us of every path, measured here (batch 1)")
      .option("--latency-table FILE", latency_table, "the same from a table of offramp measure")
      .option("--predictions FILE", predictions, ".npy, int64 [samples,2]: class, exit")
      .option("--logits FILE", logits, ".npy, float32 [samples,exits,classes]: every exit computed")
      .threads(threads)
      .device(device, precision, "f32")
      .data_dir(dir)
      .required("--model");
  if (!args.parse(words)) return;

  const nn::Model model = nn::load_model(path);
  const nn::Thresholds thresholds = thresholds_for(model, target);
  const data::Dataset set = load_split(model, data, split, data_dirs(dir));
  Exec exec = make_exec(device, precision, threads);
  nn::EarlyExitRunner runner(model.plan, exec.target(), batch, exec.threads());
  const data::Normalisation normalisation = normalisation_of(model);
  const auto images = data::source_of(
      exec, set, normalisation, {.batch = batch, .height = model.plan->height, .width = model.plan->width});
  const nas::Watch watch = console.watch();
  const nas::TakenExits taken = nas::take_exits(exec, runner, *images, thresholds, model.rule, watch);
  const auto all = nas::answer_all(exec, runner, *images, watch);

  const std::vector<nn::ExitCost>& exits = runner.exits();
  const Counts c = count(taken, exits, set);
  const nas::ExitTable table_of_all = nas::exit_table(all, model.rule);
  nas::ExitTables tables(table_of_all);
  const nas::ExitTable& t = tables.at(thresholds);
  i64 final_correct = 0;
  for (i64 s = 0; s < t.samples; ++s) final_correct += t.correct(s, t.exits - 1);
  if (!predictions.empty()) write_predictions(predictions, taken);
  if (!logits.empty())
    write_npy(logits, Tensor::from<float>(all->values, {t.samples, t.exits, model.plan->classes}));

  const double n = double(c.samples);
  const std::vector<i64> leave = nn::leave_macs(exits, thresholds);
  std::optional<Latency> latency;
  if (want_latency || !latency_table.empty()) latency = latency_of(exec, model, thresholds, c, latency_table);
  if (console.options.json) {
    ordered_json list = ordered_json::array();
    for (std::size_t e = 0; e < exits.size(); ++e)
      list.push_back({{"name", exits[e].name},
                      {"share", double(c.left[e]) / n},
                      {"accuracy", c.left[e] ? ordered_json(double(c.correct_of_left[e]) / double(c.left[e]))
                                             : ordered_json(nullptr)},
                      {"leave_macs", leave[e]}});
    if (latency)
      for (std::size_t e = 0; e < exits.size(); ++e) list[e]["leave_latency_us"] = latency->paths.leave_us[e];
    ordered_json json{{"data", set.name},
                      {"split", split},
                      {"samples", c.samples},
                      {"accuracy", double(c.correct) / n},
                      {"final_accuracy", double(final_correct) / n},
                      {"avg_macs", double(c.total_macs) / n},
                      {"total_macs", c.total_macs},
                      {"avg_macs_own_head", double(c.total_own_head) / n},
                      {"full_macs", exits.back().leave_macs},
                      {"params", model.plan->params()},
                      {"confidence", nn::confidence_name(model.rule.confidence)},
                      {"temperature", model.rule.temperature},
                      {"cascade", model.rule.cascade},
                      {"thresholds", to_json(thresholds)},
                      {"exits", list},
                      {"target", target_name(exec.target())}};
    if (latency) {
      json["latency_us"] = latency->expected_us;
      json["full_latency_us"] = latency->paths.full_us;
      json["latency"] = {{"source", latency->source},
                         {"batch", 1},
                         {"threads", latency->threads},
                         {"device", "cpu"},
                         {"target", target_name(latency->target)}};
    }
    if (!c.by_difficulty.empty()) {
      ordered_json levels = ordered_json::array();
      for (const auto& [difficulty, sums] : c.by_difficulty)
        levels.push_back({{"difficulty", difficulty},
                          {"samples", sums.first},
                          {"mean_exit", double(sums.second) / double(sums.first)}});
      json["by_difficulty"] = levels;
    }
    return console.print_json(json);
  }
  std::vector<std::vector<std::string>> rows{{"exit", "threshold", "share", "accuracy", "MACs when leaving"}};
  for (std::size_t e = 0; e < exits.size(); ++e) {
    const bool last = e + 1 == exits.size();
    rows.push_back({exits[e].name,
                    last            ? ""
                    : thresholds[e] ? std::to_string(*thresholds[e])
                                    : "off",
                    format_percent(double(c.left[e]) / n),
                    c.left[e] ? format_percent(double(c.correct_of_left[e]) / double(c.left[e])) : "",
                    leave[e] ? format_count(leave[e]) : ""});
    if (!latency) continue;
    if (e == 0) rows[0].push_back("latency when leaving");
    rows.back().push_back(leave[e] ? in_us(latency->paths.leave_us[e]) : "");
  }
  std::string text = set.name + " " + split + ", " + std::to_string(c.samples) + " images\n" +
                     "accuracy        " + format_percent(double(c.correct) / n) +
                     "  (every image to the end: " + format_percent(double(final_correct) / n) + ")\n" +
                     "average MACs    " + format_count(c.total_macs / c.samples) + "  (" +
                     format_percent(double(c.total_macs) / n / double(exits.back().leave_macs)) + " of " +
                     format_count(exits.back().leave_macs) + ")\n" + "parameters      " +
                     format_count(model.plan->params()) + "\n";
  if (latency)
    text += "latency         " + in_us(latency->expected_us) + " expected, " + in_us(latency->paths.full_us) +
            " past every exit  (" + latency->source + "; batch 1, " + std::to_string(latency->threads) +
            " thread(s), cpu, " + std::string(target_name(latency->target)) + ")\n";
  text += table(rows);
  if (!c.by_difficulty.empty()) {
    std::vector<std::vector<std::string>> levels{{"difficulty", "images", "mean exit"}};
    for (const auto& [difficulty, sums] : c.by_difficulty)
      levels.push_back({std::to_string(difficulty), std::to_string(sums.first),
                        std::to_string(double(sums.second) / double(sums.first))});
    text += table(levels);
  }
  console.print(text);
}

}  // namespace offramp::cli
