// offramp search, offramp resume
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "kernels/exec.h"
#include "kernels/timing.h"
#include "nas/cli/build_info.h"
#include "nas/cli/context.h"
#include "nas/cli/data_dirs.h"
#include "nas/cli/model_data.h"
#include "nas/cli/study_json.h"
#include "nas/cli/verb.h"
#include "nas/report/report.h"
#include "nas/search/engine.h"
#include "nas/search/recipes.h"
#include "nn/plan/model.h"
#include "tensor/file.h"

namespace offramp::cli {
namespace {

using nlohmann::ordered_json;

// What the result does not depend on: kept apart from it.
void write_env(const std::string& out, const Exec& exec, const std::vector<std::string>& dirs, double seconds,
               const std::string& state) {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  char now[32] = "";
  const std::time_t t = std::time(nullptr);
  std::strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&t));
  const ordered_json env{
      {"schema_version", 1}, {"build", build_name()},     {"host", host},
      {"written", now},      {"threads", exec.threads()}, {"target", target_name(exec.target())},
      {"data_dirs", dirs},   {"seconds", seconds},        {"state", state}};
  write_file_atomically(out + "/env.json",
                        env.dump(2, ' ', true, ordered_json::error_handler_t::replace) + "\n");
}

ordered_json to_json(const nas::FinalNetwork& n) {
  return {{"id", n.id},
          {"genotype", n.genotype},
          {"accuracy_tune", n.accuracy_tune},
          {"accuracy_test", n.accuracy_test},
          {"avg_macs", n.avg_macs},
          {"full_macs", n.full_macs},
          {"params", n.params},
          {"latency_us", n.latency_us ? ordered_json(*n.latency_us) : ordered_json(nullptr)},
          {"thresholds", cli::to_json(n.thresholds)},
          {"model", n.model}};
}

// The chosen network at other budgets: a few points of the curve that its file holds.
std::string other_budgets(const nas::SearchResult& result) {
  constexpr std::size_t kShown = 6;
  const nn::Model model = nn::load_model(result.chosen_model);
  std::vector<std::vector<std::string>> rows{{"average MACs", "tune"}};
  const std::size_t n = model.curve.size(), shown = std::min(kShown, n);
  for (std::size_t i = 0; i < shown; ++i) {
    const nn::CurvePoint& p = model.curve[shown > 1 ? i * (n - 1) / (shown - 1) : 0];
    rows.push_back({format_count(p.total_macs / model.curve_samples), format_percent(p.accuracy)});
  }
  return "the chosen network with other thresholds (--target-macs of eval and predict):\n" + table(rows);
}

void report(Console& console, const std::string& out, const nas::SearchResult& result) {
  console.end_progress();
  if (console.options.json) {
    ordered_json front = ordered_json::array();
    for (const auto& n : result.front) front.push_back(to_json(n));
    return console.print_json({{"out", out},
                               {"objectives", names_of(nas::objectives_of(nas::load_run(out)))},
                               {"evaluated", result.evaluated},
                               {"failed", result.failed},
                               {"hypervolume", result.hypervolume},
                               {"training_macs", cli::to_json(result.training)},
                               {"front", front},
                               {"chosen", result.chosen},
                               {"chosen_model", result.chosen_model}});
  }
  const bool timed = !result.front.empty() && result.front[0].latency_us;
  std::vector<std::vector<std::string>> rows{
      {"network", "tune", "test", "average MACs", "full MACs", "share", "params"}};
  if (timed) rows[0].push_back("us");
  rows[0].push_back("");
  for (const auto& n : result.front) {
    rows.push_back({std::to_string(n.id), format_percent(n.accuracy_tune), format_percent(n.accuracy_test),
                    format_count(i64(n.avg_macs)), format_count(n.full_macs),
                    format_percent(n.avg_macs / double(n.full_macs)), format_count(n.params)});
    if (timed) rows.back().push_back(n.latency_us ? std::to_string(i64(*n.latency_us + 0.5)) : "");
    rows.back().push_back(n.id == result.chosen ? "<- chosen" : "");
  }
  console.print("front of " + std::to_string(result.evaluated) +
                " evaluated candidates, trained to the end:\n" + table(rows) + other_budgets(result) +
                "model " + result.chosen_model + "\n");
}

void require_seconds(const char* flag, double seconds) {
  if (!(seconds >= 0 && seconds <= 1e9))
    throw usage_error(std::string(flag) + ": wanted seconds from 0 (no limit) to 10^9");
}

// What the user may try next, as a line for the shell.
void suggest(Console& console, const nas::SearchResult& result) {
  if (console.options.json) return;
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::string program = error ? "offramp" : std::filesystem::proximate(self, error).string();
  console.print("try   " + program + " predict --model " + result.chosen_model + " " + result.sample + "\n");
}

// Where and how to compute, from the command line.
struct Where {
  std::string device, precision;
  int threads = 0;
};

void go(Console& console, nas::SearchRequest request, const Where& where, double max_seconds) {
  const double start = now_seconds();
  Exec exec = make_exec(where.device, where.precision, where.threads);
  nas::Watch watch = console.watch();
  if (max_seconds > 0) watch.deadline = start + max_seconds;
  console.note("seed " + std::to_string(request.config.seed) + ", target " +
               std::string(target_name(exec.target())) + ", threads " + std::to_string(exec.threads()));
  request.build = build_name();
  write_env(request.out, exec, request.data_dirs, 0, "running");
  try {
    const nas::SearchResult result = nas::continue_run(exec, request, watch);
    write_env(request.out, exec, request.data_dirs, now_seconds() - start, "finished");
    nas::write_report(request.out);
    report(console, request.out, result);
    suggest(console, result);
  } catch (const Error& e) {
    console.end_progress();
    write_env(request.out, exec, request.data_dirs, now_seconds() - start, "stopped");
    if (e.kind() != Error::Kind::interrupted) throw;
    throw Error("interrupted; everything done so far is kept. Go on with: offramp resume " + request.out,
                e.kind());
  }
}

}  // namespace

void run_search(Console& console, const Words& words) {
  nas::SearchRequest request;
  std::string data, space, recipe, objective, config_file, dir;
  Where where;
  std::optional<i64> target, evals, rss, max_macs, max_params, max_memory, max_avg_macs;
  std::string target_latency, max_latency, max_avg_latency;
  std::vector<std::string> sets;
  u64 seed = request.config.seed;
  double max_seconds = 0, candidate_seconds = 0;
  bool force = false;
  Args args(console, "search", "search an early-exit network, train and test the chosen ones",
            {"offramp search --data fashion-mnist --space small --target-macs 1M --out run1",
             "offramp search --data synthetic --space small --evals 40 --set supernet.epochs=1 --out run2"});
  args.option("--data D", data, "data set (offramp data list), default " + request.config.data)
      .option("--space S", space, "search space: a name or a .toml file; default: the recipe's")
      .option("--target-macs X", target, "average MACs per image that the chosen network may cost, e.g. 1M")
      .option("--target-latency-us X", target_latency, "likewise, expected us instead of MACs")
      .option("--evals N", evals, "candidates evaluated in all")
      .option("--out DIR", request.out, "run directory")
      .flag("--force", force, "replace an earlier run in DIR")
      .option("--config FILE", config_file, "TOML configuration (run.toml of another run, say)")
      .repeated("--set K=V", sets, "one configuration key, e.g. final.epochs=8")
      .option("--recipe R", recipe, "what a run starts from: offramp (default), aebnas, edanas, nachos")
      .option("--objective O", objective,
              "one or two costs beside error: macs (default), latency (both on average), full_macs, params")
      .option("--latency-table FILE", request.latency_table,
              "of offramp measure; else what is needed is measured here")
      .option("--max-latency-us X", max_latency, "hard limit of an image that runs to the end")
      .option("--max-macs X", max_macs, "likewise")
      .option("--max-avg-latency-us X", max_avg_latency, "hard limit of the average image, as expected")
      .option("--max-avg-macs X", max_avg_macs, "likewise")
      .option("--max-params X", max_params, "hard limit")
      .option("--max-memory B", max_memory, "hard limit of weights and arena at batch 1, in bytes")
      .seed(seed)
      .option("--max-seconds S", max_seconds, "stop cleanly after S seconds; resume goes on")
      .option("--candidate-seconds S", candidate_seconds, "a candidate that takes longer has failed")
      .option("--candidate-rss SIZE", rss,
              "a candidate whose tensors take more bytes has failed, e.g. 2G; counted at allocation, "
              "it is not the resident set")
      .threads(where.threads)
      .device(where.device, where.precision, "bf16")
      .data_dir(dir)
      .required("--out");
  if (!args.parse(words)) return;

  require_seconds("--max-seconds", max_seconds);
  require_seconds("--candidate-seconds", candidate_seconds);

  const auto settings_over = [&](nas::SearchConfig config) {
    if (!config_file.empty()) nas::read_config(config, config_file);
    for (const std::string& s : sets) nas::set_assignment(config, s);
    if (args.given("--data")) nas::set_key(config, "data", data);
    if (args.given("--space")) nas::set_key(config, "space", space);
    if (args.given("--recipe")) nas::set_key(config, "recipe", recipe);
    if (args.given("--objective")) nas::set_key(config, "objective", objective);
    if (target) config.target_macs = *target;
    if (args.given("--target-latency-us")) nas::set_key(config, "target_latency_us", target_latency);
    if (evals) nas::set_key(config, "search.evals", std::to_string(*evals));
    if (!max_latency.empty()) nas::set_key(config, "limits.latency_us", max_latency);
    if (!max_avg_latency.empty()) nas::set_key(config, "limits.avg_latency_us", max_avg_latency);
    if (max_avg_macs) config.limits.avg_macs = *max_avg_macs;
    if (max_macs) config.limits.macs = *max_macs;
    if (max_params) config.limits.params = *max_params;
    if (max_memory) config.limits.memory = *max_memory;
    if (args.given("--seed")) config.seed = seed;
    if (candidate_seconds > 0) config.candidate.seconds = candidate_seconds;
    if (rss) config.candidate.rss = *rss;
    return config;
  };
  // The recipe may be named in any of the places that it is the ground of.
  request.config = settings_over(nas::config_of_recipe(settings_over({}).recipe));
  request.data_dirs = data_dirs(dir);
  // Refuses a target or a card that cannot run here before a folder is made.
  const Exec probe = make_exec(where.device, where.precision, 1);
  nas::create_run(request, force);
  go(console, std::move(request), where, max_seconds);
}

void run_resume(Console& console, const Words& words) {
  nas::SearchRequest request;
  std::string dir;
  double max_seconds = 0;
  std::optional<i64> evals;
  Where where;
  Args args(console, "resume", "go on with an interrupted search; the same result as one never interrupted",
            {"offramp resume run1", "offramp resume run1 --evals 500"});
  args.word("DIR", request.out, "run directory of offramp search")
      .option("--latency-table FILE", request.latency_table,
              "adds the kernel calls that DIR/latency.tsv lacks")
      .option("--evals N", evals,
              "candidates in all, those evaluated already included; also of a finished search, whose final "
              "networks are made anew",
              1)
      .option("--max-seconds S", max_seconds, "stop cleanly again after S seconds")
      .threads(where.threads)
      .device(where.device, where.precision, "bf16")
      .data_dir(dir);
  if (!args.parse(words)) return;
  require_seconds("--max-seconds", max_seconds);
  if (evals) nas::set_evals(request.out, *evals);
  request.config = nas::load_run(request.out);
  request.data_dirs = data_dirs(dir);
  if (nas::run_finished(request.out)) {
    console.note(request.out + " is finished; nothing to do");
    if (console.options.json) return console.print_json({{"out", request.out}, {"finished", true}});
    return console.print(read_file(request.out + "/front.csv"));
  }
  if (!request.latency_table.empty()) nas::add_latency(request.out, request.latency_table);
  go(console, std::move(request), where, max_seconds);
}

}  // namespace offramp::cli
