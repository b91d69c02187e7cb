// offramp compare: several runs side by side
#include <cmath>
#include <nlohmann/json.hpp>

#include "nas/cli/study_json.h"
#include "nas/cli/verb.h"
#include "nas/study/study.h"

namespace offramp::cli {
namespace {

using nlohmann::ordered_json;

// 1, 2, 5 times powers of ten that lie between the cheapest and the dearest candidate on any front.
std::vector<double> round_budgets(const std::vector<nas::Study>& studies) {
  double low = HUGE_VAL, high = 0;
  for (const nas::Study& s : studies) {
    const nas::Front front = s.macs_front();
    for (const nas::FrontPoint& p : front.points()) {
      low = std::min(low, p.objectives[1]);
      high = std::max(high, p.objectives[1]);
    }
  }
  std::vector<double> budgets;
  for (double decade = 1; decade <= high; decade *= 10)
    for (double step : {1.0, 2.0, 5.0})
      if (decade * step >= low && (budgets.empty() || budgets.back() < high))
        budgets.push_back(decade * step);
  return budgets;
}

// The most accurate final network on the tune split that keeps within the budget, and null when none does.
const nas::FrontRow* best_final(const nas::Study& study, double budget) {
  const nas::FrontRow* best = nullptr;
  for (const nas::FrontRow& row : study.finals)
    if (row.avg_macs <= budget && (!best || row.accuracy_tune > best->accuracy_tune)) best = &row;
  return best;
}

ordered_json to_json(const nas::Study& s, const std::vector<double>& budgets) {
  ordered_json best = ordered_json::array();
  const nas::Front front = s.macs_front();
  const auto objectives = nas::objectives_of(s.config);
  for (double budget : budgets) {
    const nas::FrontPoint* found = best_under(front.points(), 1, budget);
    const nas::FrontRow* final = best_final(s, budget);
    ordered_json at{{"macs", budget}, {"id", nullptr}, {"accuracy_tune", nullptr}};
    if (found) at["id"] = found->id, at["accuracy_tune"] = 1 - found->objectives[0];
    at["final_id"] = final ? ordered_json(final->id) : ordered_json();
    at["accuracy_test"] = final ? ordered_json(final->accuracy_test) : ordered_json();
    best.push_back(at);
  }
  ordered_json rungs = ordered_json::array();
  for (const nas::Study::Rung& r : s.rung_costs())
    rungs.push_back({{"epochs", r.epochs}, {"candidates", r.candidates}, {"training_macs", r.train_macs}});
  ordered_json generations = ordered_json::array();
  for (const nas::GenerationRecord& g : s.generations)
    generations.push_back(
        {{"generation", g.generation},
         {"evaluated", g.evaluations},
         {"failed", g.failures},
         {"front_size", i64(g.front.size())},
         {"hypervolume", g.hypervolume},
         {"best_id", g.best_id >= 0 ? ordered_json(g.best_id) : ordered_json()},
         {"best_at_target", g.best_id >= 0 ? ordered_json(g.best_at_target) : ordered_json()},
         {"training_macs", g.train_macs},
         {"seconds", g.seconds}});
  return {{"dir", s.dir},
          {"data", s.config.data},
          {"space", s.config.space},
          {"recipe", s.config.recipe},
          {"objectives", names_of(objectives)},
          {"seed", s.config.seed},
          {"finished", s.finished},
          {"evaluated", i64(s.candidates.size())},
          {"failed", s.failed()},
          {"seconds", s.seconds()},
          {"training_macs", cli::to_json(s.training)},
          {"front_size", i64(s.front(objectives).points().size())},
          {"hypervolume", s.classes ? ordered_json(s.hypervolume()) : ordered_json()},
          {"test_hypervolume", s.finals.empty() ? ordered_json() : ordered_json(s.test_hypervolume())},
          {"curve_hypervolume", s.curves.empty() ? ordered_json() : ordered_json(s.curve_hypervolume())},
          {"best", best},
          {"rungs", rungs},
          {"generations", generations}};
}

std::string fixed(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4f", value);
  return text;
}

std::string tables(const std::vector<nas::Study>& studies, const std::vector<double>& budgets) {
  std::vector<std::vector<std::string>> runs{
      {"run", "data", "space", "recipe", "objectives", "seed", "evaluated", "failed", "front", "hypervolume",
       "test hypervolume", "of all thresholds", "time", "training MACs", "state"}};
  std::vector<std::vector<std::string>> best{{"best accuracy at"}}, finals{{"test accuracy at"}};
  for (double b : budgets)
    for (auto* table : {&best, &finals}) table->front().push_back(format_count(i64(b)));
  bool any_final = false;
  for (const nas::Study& s : studies) {
    const nas::Front front = s.macs_front();
    const auto objectives = nas::objectives_of(s.config);
    runs.push_back({s.dir, s.config.data, s.config.space, s.config.recipe, s.config.objective,
                    std::to_string(s.config.seed), std::to_string(s.candidates.size()),
                    std::to_string(s.failed()), std::to_string(s.front(objectives).points().size()),
                    s.classes ? fixed(s.hypervolume()) : "-",
                    s.finals.empty() ? "-" : fixed(s.test_hypervolume()),
                    s.curves.empty() ? "-" : fixed(s.curve_hypervolume()), format_seconds(s.seconds()),
                    format_count(s.training.total()), s.finished ? "finished" : "unfinished"});
    best.push_back({s.dir}), finals.push_back({s.dir});
    for (double budget : budgets) {
      const nas::FrontPoint* found = best_under(front.points(), 1, budget);
      const nas::FrontRow* final = best_final(s, budget);
      best.back().push_back(found ? format_percent(1 - found->objectives[0]) : "-");
      finals.back().push_back(final ? format_percent(final->accuracy_test) : "-");
      any_final |= final != nullptr;
    }
  }
  std::string text = table(runs);
  if (!budgets.empty()) text += "\nas scored during the search (tune split), average MACs:\n" + table(best);
  if (any_final) text += "\ntrained to the end, chosen on the tune split:\n" + table(finals);
  return text;
}

}  // namespace

void run_compare(Console& console, const Words& words) {
  std::vector<std::string> dirs, at;
  Args args(console, "compare", "several runs side by side",
            {"offramp compare run1 run2", "offramp compare run1 run2 --at 500k --at 1M --json"});
  args.words("DIR", dirs, "run directories of offramp search")
      .repeated("--at X", at, "average MACs at which the best network is named (default: round figures)")
      .notes(
          "hypervolume: share of the box between no error at 10^5 average MACs and chance at 10^8 (log "
          "scale) "
          "that\n"
          "the candidates' front of error and average MACs dominates, whatever was searched for; test "
          "hypervolume: the same of the networks trained to the "
          "end;\nof all thresholds: the same of every choice of thresholds that their model files keep "
          "(curves.csv).\n"
          "training MACs: forward MACs x images of every training pass: supernet, candidates, final "
          "networks.\n");
  if (!args.parse(words)) return;
  std::vector<nas::Study> studies;
  for (const std::string& dir : dirs) studies.push_back(nas::read_study(dir));
  std::vector<double> budgets;
  for (const std::string& text : at) budgets.push_back(double(parse_count(text, "--at")));
  if (budgets.empty()) budgets = round_budgets(studies);
  for (const nas::Study& s : studies)
    if (s.config.data != studies[0].config.data)
      console.warn(s.dir + " is on " + s.config.data + ", " + studies[0].dir + " on " +
                   studies[0].config.data + ": their accuracies do not compare");
  if (!console.options.json) return console.print(tables(studies, budgets));
  ordered_json runs = ordered_json::array();
  for (const nas::Study& s : studies) runs.push_back(to_json(s, budgets));
  console.print_json({{"runs", runs}});
}

}  // namespace offramp::cli
