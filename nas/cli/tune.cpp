// offramp tune: choose the exit thresholds of a model
#include <nlohmann/json.hpp>

#include "nas/cli/context.h"
#include "nas/cli/data_dirs.h"
#include "nas/cli/model_data.h"
#include "nas/cli/verb.h"
#include "nas/search/candidate_evaluator.h"

namespace offramp::cli {

void run_tune(Console& console, const Words& words) {
  std::string path, data, out, confidence, dir, device, precision;
  std::optional<i64> target;
  bool curve = false, sweep = false, calibrate = false, plain = false, cascade = false, apart = false;
  double tolerance = -1;  // not given
  int threads = 0;
  Args args(console, "tune", "choose exit thresholds of a model on its tune split",
            {"offramp tune --model m.safetensors --target-macs 600k",
             "offramp tune --model m.safetensors --curve --json"});
  args.option("--model M", path, "model file, rewritten unless --out is given")
      .option("--data D", data, "data set, default: the one it was trained on")
      .option("--target-macs X", target, "best accuracy at X average MACs per image")
      .flag("--curve", curve, "print the whole accuracy-cost curve (it is stored in the model either way)")
      .flag("--sweep", sweep,
            "print 39 share-based threshold vectors (exit k is left by a share of q^k) as well")
      .choice("--confidence C", confidence,
              {"margin", "max_probability", "max_prob", "entropy", "patience", "cumulative"},
              "default: the model's own")
      .flag("--calibrate", calibrate, "fit a temperature to each exit")
      .flag("--no-calibrate", plain, "without temperatures")
      .flag("--cascade", cascade, "an exit answers together with those before it")
      .flag("--no-cascade", apart, "each exit alone")
      .option("--tolerance T", tolerance,
              "accuracy given up for fewer MACs, default 0 with a target, else 0.0025")
      .option("--out FILE", out, "write here instead")
      .threads(threads)
      .device(device, precision, "f32")
      .data_dir(dir)
      .required("--model");
  if (!args.parse(words)) return;

  nn::Model model = nn::load_model(path);
  if (calibrate && plain) throw usage_error("--calibrate and --no-calibrate exclude each other");
  if (cascade && apart) throw usage_error("--cascade and --no-cascade exclude each other");
  if (!confidence.empty()) model.rule.confidence = nn::parse_confidence(confidence);
  if (plain) model.rule.temperature.clear();
  if (cascade || apart) model.rule.cascade = cascade;
  const data::Dataset set = load_split(model, data, "tune", data_dirs(dir));
  Exec exec = make_exec(device, precision, threads);
  const nas::ScoredNetwork scored = nas::score_plan(exec, model.plan, set, normalisation_of(model),
                                                    {.rule = model.rule,
                                                     .calibrate = calibrate,
                                                     .options = {.target = target,
                                                                 .tolerance = tolerance >= 0 ? tolerance
                                                                              : target       ? 0
                                                                                             : 0.0025}},
                                                    console.watch());
  if (target && !mean_at_most(scored.point.total_cost, scored.table.samples, *target))
    throw Error("no thresholds cost at most " + std::to_string(*target) +
                    " MACs on average; the cheapest cost " +
                    std::to_string(mean_up(scored.point.total_cost, scored.table.samples)),
                Error::Kind::infeasible);
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
                                {"confidence", nn::confidence_name(model.rule.confidence)},
                                {"temperature", model.rule.temperature},
                                {"cascade", model.rule.cascade},
                                {"thresholds", to_json(model.thresholds)}};
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
  std::vector<std::vector<std::string>> rows{{"average MACs", "accuracy", "thresholds"}};
  if (curve)
    for (const nn::CurvePoint& p : model.curve)
      rows.push_back({format_count(i64(double(p.total_macs) / n)), format_percent(p.accuracy),
                      to_json(p.thresholds).dump()});
  for (const nas::CurvePoint& p : swept)
    rows.push_back({format_count(i64(double(p.total_cost) / n)), format_percent(double(p.correct) / n),
                    to_json(p.thresholds).dump() + " share"});
  rows.push_back({format_count(i64(scored.average_macs())), format_percent(scored.accuracy()),
                  to_json(model.thresholds).dump() + " <- chosen"});
  console.print(table(rows));
}

}  // namespace offramp::cli
