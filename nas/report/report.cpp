#include "nas/report/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <filesystem>

#include "nas/report/svg.h"
#include "tensor/file.h"

namespace offramp::nas {
namespace {

using Rows = std::vector<std::vector<std::string>>;

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --ink: #1c2330; --dim: #667085; --line: #e3e7ee; --paper: #ffffff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --dim: #98a2b3; --line: #2c3442; --paper: #12161d; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 760px;
       margin: 32px auto; padding: 0 16px; }
h1 { font-size: 24px; margin: 0 0 4px; } h2 { font-size: 17px; margin: 32px 0 8px; } p { color: var(--dim); margin: 4px 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 4px 8px; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; } th { color: var(--dim); font-weight: 500; }
tr.chosen td { font-weight: 600; } .scroll { overflow-x: auto; }
svg { width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: var(--dim); }
svg .inside { fill: #ffffff; } .grid { stroke: var(--line); } .line { fill: none; stroke-width: 2; }
.s0 { --c: #98a2b3; } .s1 { --c: #2563eb; } .s2 { --c: #dc6803; } .s3 { --c: #079455; } .s4 { --c: #7a5af8; } .s5 { --c: #c11574; }
.dot { fill: var(--c); } .line { stroke: var(--c); }
pre { overflow-x: auto; padding: 12px; border: 1px solid var(--line); border-radius: 6px; font-size: 13px; }
)";

std::string number(const char* format, double v) {
  char text[48];
  std::snprintf(text, sizeof text, format, v);
  return text;
}
std::string percent(double share) { return number("%.2f %%", 100 * share); }
std::string millions(double macs) { return number("%.3fM", macs / 1e6); }

std::string table(const Rows& rows, i64 chosen_row = -1) {
  std::string out = "<div class=\"scroll\"><table>\n";
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const std::string cell = r == 0 ? "th" : "td";
    out += i64(r) == chosen_row ? "<tr class=\"chosen\">" : "<tr>";
    for (const std::string& text : rows[r]) out += "<" + cell + ">" + escaped(text) + "</" + cell + ">";
    out += "</tr>\n";
  }
  return out + "</table></div>\n";
}

std::string section(const std::string& title, const std::string& body) {
  return "<h2>" + escaped(title) + "</h2>\n" + body;
}

// Id of the candidate with this genotype; -1: none.
i64 id_of(const Study& study, const Genotype& genotype) {
  for (const CandidateRecord& c : study.candidates)
    if (c.genotype == genotype) return c.id;
  return -1;
}

std::string axis_of(Objective cost) {
  switch (cost) {
    case Objective::latency:
      return "expected latency per image, us";
    case Objective::full_macs:
      return "MACs of an image that runs to the end";
    case Objective::params:
      return "parameters";
    default:
      return "average MACs per image";
  }
}

// Accuracy against one cost; the front is that of these two alone.
std::string candidates_chart(const Study& study, i64 chosen, Objective cost) {
  Series all{.name = "candidates"};
  Series front{.name = "their front", .mark = Series::Mark::steps};
  Series finals{.name = "trained to the end (test)"}, picked{.name = "chosen (test)"};
  for (const CandidateRecord& c : study.candidates)
    if (c.state == CandidateRecord::State::scored) {
      const double x = value_of(cost, figures_of(c));
      all.points.push_back({x, 100 * c.accuracy_tune});
      all.labels.push_back(
          "candidate " + std::to_string(c.id) + ": " + percent(c.accuracy_tune) + " at " + in_words(cost, x) +
          (c.rungs_left > 0 ? ", stopped after " + std::to_string(c.epochs) + " epochs" : ""));
    }
  const Objective both[] = {Objective::error, cost};
  const Front points = study.front(both);  // ascending in error: from the dear end
  for (auto p = points.points().rbegin(); p != points.points().rend(); ++p)
    front.points.push_back({p->objectives[1], 100 * (1 - p->objectives[0])});
  for (const FrontRow& row : study.finals) {
    if (cost == Objective::latency && !row.latency_us) continue;
    Series& into = row.id == chosen ? picked : finals;
    const double x = value_of(
        cost, {1 - row.accuracy_test, row.avg_macs, row.latency_us.value_or(0), row.full_macs, row.params});
    into.points.push_back({x, 100 * row.accuracy_test});
    into.labels.push_back("network " + std::to_string(row.id) + ": " + percent(row.accuracy_test) + " at " +
                          in_words(cost, x));
  }
  return svg({.x_label = axis_of(cost),
              .y_label = "accuracy, %",
              .log_x = true,
              .series = {all, front, finals, picked}});
}

std::string progress_chart(const Study& study) {
  Series volume{.name = "", .mark = Series::Mark::line};
  for (const GenerationRecord& g : study.generations)
    volume.points.push_back({double(g.evaluations), g.hypervolume});
  return svg({.x_label = "candidates evaluated", .y_label = "hypervolume", .series = {{}, volume}});
}

// Empty without a target, and while nothing has met it.
std::string best_chart(const Study& study) {
  Series best{.name = "", .mark = Series::Mark::line};
  for (const GenerationRecord& g : study.generations)
    if (g.best_id >= 0) best.points.push_back({double(g.evaluations), 100 * g.best_at_target});
  if (best.points.empty()) return "";
  return svg({.x_label = "candidates evaluated", .y_label = "tune accuracy, %", .series = {{}, best}});
}

std::string curve_chart(const nn::Model& model) {
  Series curve{.name = "", .mark = Series::Mark::steps};
  for (const nn::CurvePoint& p : model.curve)
    curve.points.push_back({double(p.total_macs) / double(model.curve_samples), 100 * p.accuracy});
  return svg({.x_label = "average MACs per image", .y_label = "tune accuracy, %", .series = {{}, curve}});
}

std::string finals_table(const Study& study, i64 chosen) {
  Rows rows{{"network", "tune", "test", "average MACs", "full MACs", "share", "parameters"}};
  const bool timed = std::any_of(study.finals.begin(), study.finals.end(),
                                 [](const FrontRow& r) { return r.latency_us.has_value(); });
  if (timed) rows[0].push_back("latency, us");
  i64 chosen_row = -1;
  for (const FrontRow& n : study.finals) {
    if (n.id == chosen) chosen_row = i64(rows.size());
    rows.push_back({std::to_string(n.id) + (n.id == chosen ? ", chosen" : ""), percent(n.accuracy_tune),
                    percent(n.accuracy_test), millions(n.avg_macs), millions(double(n.full_macs)),
                    percent(n.avg_macs / double(n.full_macs)), std::to_string(n.params)});
    if (timed) rows.back().push_back(n.latency_us ? number("%.1f", *n.latency_us) : "");
  }
  return table(rows, chosen_row);
}

std::string shares_chart(const Study& study) {
  std::vector<Bar> bars;
  for (const FrontRow& n : study.finals)
    if (const CandidateRecord* c = study.candidate(n.id))
      bars.push_back({"network " + std::to_string(n.id), c->exit_shares});
  return svg_bars(bars);
}

std::string training_table(const TrainingCost& cost) {
  const auto billions = [](i64 macs) { return number("%.3fG", double(macs) / 1e9); };
  return table({{"", "MACs"},
                {"supernet", billions(cost.supernet)},
                {"candidates", billions(cost.candidates)},
                {"final networks", billions(cost.finals)},
                {"in all", billions(cost.total())}});
}

std::string rungs_table(const std::vector<Study::Rung>& rungs) {
  Rows rows{{"epochs", "candidates", "training MACs"}};
  for (const Study::Rung& r : rungs)
    rows.push_back({std::to_string(r.epochs), std::to_string(r.candidates),
                    number("%.3fG", double(r.train_macs) / 1e9)});
  return table(rows);
}

std::string failures_table(const Study& study) {
  Rows rows{{"candidate", "generation", "reason"}};
  for (const CandidateRecord& c : study.candidates)
    if (c.state == CandidateRecord::State::failed)
      rows.push_back({std::to_string(c.id), std::to_string(c.generation), c.reason});
  return table(rows);
}

std::string events_table(const Study& study) {
  Rows rows{{"time (UTC)", "event", "text"}};
  for (const EventRecord& e : study.events) {
    char when[32] = "";
    const std::time_t seconds = std::time_t(e.unix_seconds);
    std::tm utc{};
    if (gmtime_r(&seconds, &utc)) std::strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &utc);
    rows.push_back({when, e.kind, e.text});
  }
  return table(rows);
}

}  // namespace

std::string html_report(const Study& study, const std::optional<nn::Model>& chosen) {
  const SearchConfig& c = study.config;
  const i64 chosen_id = chosen ? id_of(study, chosen->genotype) : -1;
  std::string out =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width\">\n<title>Offramp: " +
      escaped(c.space + " on " + c.data) + "</title>\n<style>" + kStyle + "</style></head><body>\n";
  out += "<h1>" + escaped(c.space + " on " + c.data) + "</h1>\n<p>" +
         escaped("recipe " + c.recipe + ", seed " + std::to_string(c.seed) + ", " +
                 std::to_string(study.candidates.size()) + " candidates evaluated, " +
                 std::to_string(study.failed()) + " failed, " + number("%.0f", study.seconds()) + " s; " +
                 (study.finished ? "finished" : "not finished")) +
         "</p>\n";
  std::string charts = candidates_chart(study, chosen_id, Objective::macs);
  for (Objective o : objectives_of(c))
    if (o != Objective::error && o != Objective::macs) charts += candidates_chart(study, chosen_id, o);
  out += section("Accuracy against cost",
                 charts +
                     "<p>Candidates: tune split, weights as the search scored them. Networks trained to the "
                     "end: test split, seen once.</p>\n");
  if (!study.finals.empty()) {
    out += section("Networks trained to the end", finals_table(study, chosen_id));
    out += section("Where images leave (tune split, during the search; the last part runs to the end)",
                   shares_chart(study));
  }
  if (chosen && !chosen->curve.empty())
    out += section("The chosen network at other thresholds", curve_chart(*chosen));
  if (!study.generations.empty())
    out += section("Hypervolume of the candidates' front (" + c.objective + ")", progress_chart(study));
  if (const std::string best = best_chart(study); !best.empty())
    out += section("Best accuracy at the target", best);
  out += section("Training: forward MACs x images", training_table(study.training));
  if (const auto rungs = study.rung_costs(); !rungs.empty())
    out += section("Successive halving of the candidates", rungs_table(rungs));
  if (study.failed() > 0) out += section("Failed candidates", failures_table(study));
  out += section("Events", events_table(study));
  out += section("Configuration", "<pre>" + escaped(to_toml(c)) + "</pre>\n");
  return out + "</body></html>\n";
}

std::string write_report(const std::string& dir) {
  const Study study = read_study(dir);
  std::optional<nn::Model> chosen;
  if (const std::string path = dir + "/chosen.safetensors"; std::filesystem::exists(path))
    chosen = nn::load_model(path);
  const std::string path = dir + "/report.html";
  write_file_atomically(path, html_report(study, chosen));
  return path;
}

}  // namespace offramp::nas
