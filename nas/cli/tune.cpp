// offramp tune: choose the exit thresholds of a model
#include <cmath>
#include <nlohmann/json.hpp>

#include "nas/cli/context.h"
#include "nas/cli/data_dirs.h"
#include "nas/cli/model_data.h"
#include "nas/cli/verb.h"
#include "nas/latency/predict.h"
#include "nas/search/candidate_evaluator.h"

namespace offramp::cli {
namespace {

// Those that choose; the genes of a model were chosen by its search.
std::vector<std::string> kinds() {
  std::vector<std::string> all = nas::tune_kinds();
  std::erase(all, nas::tune_kind_name(nas::TuneKind::genes));
  return all;
}

struct Asked {
  std::string kind = "exact", penalty = "two-sided";
  double tolerance = -1;  // not given
  double min_accuracy = 0;
};

nas::TuneOptions options_of(const Asked& asked, std::optional<i64> target, double target_us) {
  if (asked.min_accuracy != 0 && asked.kind != "shared")
    throw usage_error("--min-accuracy goes with --kind shared");
  if (!(asked.min_accuracy >= 0 && asked.min_accuracy <= 1))
    throw usage_error("--min-accuracy: wanted 0 to 1");
  nas::TuneOptions options{.kind = nas::parse_tune_kind(asked.kind),
                           .target = target,
                           .min_accuracy = asked.min_accuracy,
                           .two_sided = asked.penalty == "two-sided"};
  if (target_us > 0) options.target = i64(std::floor(target_us * nas::kPicosecondsPerUs));
  options.tolerance = asked.tolerance >= 0 ? asked.tolerance : options.target ? 0 : 0.0025;
  if (options.kind == nas::TuneKind::grid && !options.target)
    throw usage_error("--kind grid tunes towards a target: --target-macs or --target-us is missing");
  return options;
}

std::string in_us(double us) {
  char text[48];
  std::snprintf(text, sizeof text, "%.3f us", us);
  return text;
}

// A grid may miss its target for the sake of accuracy; of the others only what keeps it is wanted.
void require_target(const nas::ScoredNetwork& scored, const nas::Tuning& tuning) {
  const nas::TuneOptions& options = tuning.options;
  const i64 cost = nas::average_up(scored.point.total_cost, scored.table.samples);
  if (!options.target || options.kind == nas::TuneKind::grid || cost <= *options.target) return;
  const auto text = [&](i64 c) {
    return tuning.latency ? in_us(double(c) / nas::kPicosecondsPerUs) : std::to_string(c) + " MACs";
  };
  const std::string most = " at most " + text(*options.target) + " on average; ";
  throw Error(options.kind == nas::TuneKind::exact
                  ? "no thresholds cost" + most + "the cheapest cost " + text(cost)
                  : "the tuner '" + nas::tune_kind_name(options.kind) + "' found no thresholds that cost" +
                        most + "what it came to costs " + text(cost),
              Error::Kind::infeasible);
}

}  // namespace

void run_tune(Console& console, const Words& words) {
  std::string path, data, out, confidence, dir, device, precision, table_file;
  Asked asked;
  double target_us = 0;
  std::optional<i64> target;
  bool curve = false, sweep = false, calibrate = false, plain = false, cascade = false, apart = false;
  int threads = 0;
  Args args(console, "tune", "choose exit thresholds of a model on its tune split",
            {"offramp tune --model m.safetensors --target-macs 600k",
             "offramp tune --model m.safetensors --curve --json",
             "offramp tune --model m.safetensors --latency-table l.tsv --target-us 40"});
  args.option("--model M", path, "model file, rewritten unless --out is given")
      .option("--data D", data, "data set, default: the one it was trained on")
      .option("--target-macs X", target, "best accuracy at X average MACs per image")
      .choice("--kind K", asked.kind, kinds(),
              "tuner: exact (default; searched with 5 early exits and more), coordinate (one exit at a "
              "time), shares (of --sweep), "
              "grid (0.1, 0.2 or off, as AEBNAS), shared (one for all exits, as NACHOS)")
      .option("--min-accuracy A", asked.min_accuracy,
              "--kind shared: accuracy from 0 to 1 that is not given up for the target, default 0")
      .choice("--penalty P", asked.penalty, {"two-sided", "one-sided"},
              "--kind grid: of costs off the target (default), or above it only")
      .option("--latency-table FILE", table_file,
              "of offramp measure: tune on expected latency instead of MACs")
      .option("--target-us X", target_us, "best accuracy at X us per image on average, by --latency-table")
      .flag("--curve", curve, "print the whole accuracy-cost curve (it is stored in the model either way)")
      .flag("--sweep", sweep,
            "print 39 share-based threshold vectors (exit k is left by a share of q^k) as well")
      .choice("--confidence C", confidence,
              {"margin", "max_probability", "max_prob", "entropy", "patience", "cumulative", "learned",
               "learned_cumulative"},
              "default: the model's own")
      .flag("--calibrate", calibrate, "fit a temperature to each exit")
      .flag("--no-calibrate", plain, "without temperatures")
      .flag("--cascade", cascade, "an exit answers together with those before it")
      .flag("--no-cascade", apart, "each exit alone")
      .option("--tolerance T", asked.tolerance,
              "accuracy given up for less cost, default 0 with a target, else 0.0025")
      .option("--out FILE", out, "write here instead")
      .threads(threads)
      .device(device, precision, "f32")
      .data_dir(dir)
      .required("--model");
  if (!args.parse(words)) return;

  if (args.given("--target-us") && table_file.empty()) throw usage_error("--target-us needs --latency-table");
  if (target && !table_file.empty())
    throw usage_error(
        "--target-macs and --latency-table exclude each other: thresholds are tuned on one cost");
  if (args.given("--target-us") && !(target_us > 0 && target_us < 1e12))
    throw usage_error("--target-us: wanted a number above 0");
  nn::Model model = nn::load_model(path);
  if (calibrate && plain) throw usage_error("--calibrate and --no-calibrate exclude each other");
  if (cascade && apart) throw usage_error("--cascade and --no-cascade exclude each other");
  if (!confidence.empty()) model.rule.confidence = nn::parse_confidence(confidence);
  if (plain) model.rule.temperature.clear();
  if (cascade || apart) model.rule.cascade = cascade;
  std::optional<nas::LatencyTable> latency;
  if (!table_file.empty()) {
    latency = nas::LatencyTable::load(table_file);
    nas::require_current(*latency, table_file);
  }
  const nas::Tuning tuning{.rule = model.rule,
                           .calibrate = calibrate,
                           .options = options_of(asked, target, target_us),
                           .latency = latency ? &*latency : nullptr};
  const data::Dataset set = load_split(model, data, "tune", data_dirs(dir));
  Exec exec = make_exec(device, precision, threads);
  const nas::ScoredNetwork scored =
      nas::score_plan(exec, model.plan, set, normalisation_of(model), tuning, console.watch());
  require_target(scored, tuning);
  model.rule = scored.rule;
  model.thresholds = scored.point.thresholds;
  nas::store_curve(model, scored);
  nn::save_model(out.empty() ? path : out, model);

  const double n = double(scored.table.samples);
  std::vector<nas::CurvePoint> swept;
  if (sweep) swept = nas::share_sweep(scored.table, scored.costs);
  if (console.options.json) {
    nlohmann::ordered_json json{{"model", out.empty() ? path : out},
                                {"samples", scored.table.samples},
                                {"accuracy", scored.accuracy()},
                                {"avg_macs", scored.average_macs()},
                                {"kind", asked.kind},
                                {"confidence", nn::confidence_name(model.rule.confidence)},
                                {"temperature", model.rule.temperature},
                                {"cascade", model.rule.cascade},
                                {"thresholds", to_json(model.thresholds)}};
    if (latency) json["latency_us"] = nas::expected_latency_us(scored, *latency);
    if (curve) {
      nlohmann::ordered_json points = nlohmann::ordered_json::array();
      for (const nn::CurvePoint& p : model.curve)
        points.push_back({{"thresholds", to_json(p.thresholds)},
                          {"accuracy", p.accuracy},
                          {"avg_macs", double(p.total_macs) / n}});
      json["curve"] = points;
    }
    if (sweep) {
      nlohmann::ordered_json points = nlohmann::ordered_json::array();
      for (const nas::CurvePoint& p : swept)
        points.push_back({{"thresholds", to_json(p.thresholds)},
                          {"accuracy", double(p.correct) / n},
                          {"avg_macs", double(p.total_cost) / n}});
      json["sweep"] = points;
    }
    return console.print_json(json);
  }
  const std::string chosen_us = latency ? ", " + in_us(nas::expected_latency_us(scored, *latency)) : "";
  std::vector<std::vector<std::string>> rows{{"average MACs", "accuracy", "thresholds"}};
  if (curve)
    for (const nn::CurvePoint& p : model.curve)
      rows.push_back({format_count(i64(double(p.total_macs) / n)), format_percent(p.accuracy),
                      to_json(p.thresholds).dump()});
  for (const nas::CurvePoint& p : swept)
    rows.push_back({format_count(i64(double(p.total_cost) / n)), format_percent(double(p.correct) / n),
                    to_json(p.thresholds).dump() + " share"});
  rows.push_back({format_count(i64(scored.average_macs())), format_percent(scored.accuracy()),
                  to_json(model.thresholds).dump() + " <- chosen" + chosen_us});
  console.print(table(rows));
}

}  // namespace offramp::cli
