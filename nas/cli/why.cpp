// offramp why: where a candidate comes from, and what dominates it
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "nas/cli/study_json.h"
#include "nas/cli/verb.h"
#include "nas/search/dominance.h"
#include "nas/search/exit_prediction.h"
#include "nas/space/space.h"
#include "nas/study/study.h"

namespace offramp::cli {
namespace {

using nas::CandidateRecord;
using nlohmann::ordered_json;

bool scored(const CandidateRecord& c) {
  return c.state == CandidateRecord::State::scored && c.violation <= 0 && c.rungs_left == 0;
}

// Genes that no parent has as this one does: what variation made new.
std::vector<std::string> new_genes(const nas::Space& space, const nas::Study& study,
                                   const CandidateRecord& c) {
  std::vector<std::string> changes;
  if (c.parents.empty()) return changes;
  for (std::size_t g = 0; g < c.genotype.size(); ++g) {
    std::string before;
    bool inherited = false;
    for (i64 id : c.parents) {
      const CandidateRecord* parent = study.candidate(id);
      if (!parent || g >= parent->genotype.size()) continue;
      inherited |= parent->genotype[g] == c.genotype[g];
      const std::string& value = space.genes()[g].values[std::size_t(parent->genotype[g])];
      if (before.find(value) == std::string::npos) before += (before.empty() ? "" : " or ") + value;
    }
    if (!inherited && !before.empty())
      changes.push_back(space.genes()[g].name + " " + before + " -> " +
                        space.genes()[g].values[std::size_t(c.genotype[g])]);
  }
  return changes;
}

// The candidate and everything it descends from, each once, nearest first, with the distance.
std::vector<std::pair<const CandidateRecord*, int>> ancestry(const nas::Study& study,
                                                             const CandidateRecord& c) {
  std::vector<std::pair<const CandidateRecord*, int>> found{{&c, 0}};
  std::map<i64, bool> seen{{c.id, true}};
  for (std::size_t i = 0; i < found.size(); ++i)
    for (i64 id : found[i].first->parents)
      if (const CandidateRecord* parent = study.candidate(id); parent && !std::exchange(seen[id], true))
        found.push_back({parent, found[i].second + 1});
  return found;
}

// Average MACs, and what else was searched for.
std::string figures(const nas::Study& study, const CandidateRecord& c) {
  if (c.state == CandidateRecord::State::failed) return "failed: " + c.reason;
  std::string text =
      format_percent(c.accuracy_tune) + " at " + format_count(i64(c.avg_macs)) + " average MACs";
  for (nas::Objective o : nas::objectives_of(study.config))
    if (o != nas::Objective::error && o != nas::Objective::macs)
      text += ", " + nas::in_words(o, nas::value_of(o, nas::figures_of(c)));
  return text;
}

std::string join(const std::vector<std::string>& words, const char* between) {
  std::string text;
  for (const std::string& w : words) text += (text.empty() ? "" : between) + w;
  return text;
}

// What surrogates predicted of the candidate before it was evaluated, beside what came out.
struct Predicted {
  std::string what, by;
  double value = 0, measured = 0;  // measured: NaN when it failed
};
std::vector<Predicted> predictions(const nas::Study& study, const nas::Space& space,
                                   const CandidateRecord& c) {
  const nas::Teaching teaching = nas::teaching_of(space, study.config);
  const std::vector<std::string> names = nas::lesson_names(teaching);
  std::vector<double> lesson(names.size(), std::nan(""));
  if (c.predicted.empty()) return {};
  if (c.state == CandidateRecord::State::scored) lesson = nas::lesson_of(space, teaching, c);
  std::vector<Predicted> all;
  for (std::size_t t = 0; t < std::min(names.size(), c.predicted.size()); ++t)
    all.push_back({names[t], t < c.predicted_by.size() ? c.predicted_by[t] : "", c.predicted[t], lesson[t]});
  return all;
}

// First and last of consecutive generations after which it was on the front.
std::vector<std::pair<i64, i64>> times_on_front(const nas::Study& study, i64 id) {
  std::vector<std::pair<i64, i64>> times;
  for (const nas::GenerationRecord& g : study.generations) {
    if (!std::binary_search(g.front.begin(), g.front.end(), id)) continue;
    if (times.empty() || times.back().second + 1 != g.generation) times.emplace_back(g.generation, 0);
    times.back().second = g.generation;
  }
  return times;
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.5g", value);
  return text;
}

struct Standing {
  std::vector<i64> dominated_by, dominates;
};

Standing standing_of(const nas::Study& study, const CandidateRecord& c) {
  Standing s;
  if (!scored(c)) return s;
  for (const CandidateRecord& other : study.candidates) {
    if (!scored(other) || other.id == c.id) continue;
    if (nas::dominates(other.objectives, c.objectives)) s.dominated_by.push_back(other.id);
    if (nas::dominates(c.objectives, other.objectives)) s.dominates.push_back(other.id);
  }
  return s;
}

std::string text_of(const nas::Study& study, const nas::Space& space, const CandidateRecord& c) {
  constexpr std::size_t kNamed = 8;  // dominating candidates told one by one
  std::string text = "candidate " + std::to_string(c.id) + ": " + figures(study, c) + "\n";
  if (c.state == CandidateRecord::State::scored)
    text +=
        "  " + format_count(c.full_macs) + " MACs to the end, " + format_count(c.params) + " parameters\n";
  text += "  genotype " + nas::to_text(c.genotype) + "\n";
  text += "  evaluation " + std::to_string(c.id + 1) + " of " + std::to_string(study.candidates.size()) +
          ", generation " + std::to_string(c.generation) + ", weights: " + c.weights + "\n";
  for (const Predicted& p : predictions(study, space, c))
    text += "  predicted " + p.what + " " + number(p.value) + " (" + p.by + "), measured " +
            (std::isnan(p.measured) ? "-" : number(p.measured)) + "\n";
  if (c.train_macs > 0)
    text += "  training of its own: " + format_count(c.train_macs) + " MACs, " + std::to_string(c.epochs) +
            " of " + std::to_string(study.config.candidate.epochs) + " epochs\n";
  for (std::size_t e = 0; e < c.exit_shares.size(); ++e)
    text += "  exit " + std::to_string(e) + (e + 1 == c.exit_shares.size() ? " (final)" : "") + ": " +
            format_percent(c.exit_shares[e]) + " leave, " + format_percent(c.exit_accuracies[e]) +
            " right over all samples\n";
  if (scored(c)) {
    const Standing s = standing_of(study, c);
    text += s.dominated_by.empty() ? "on the front" : "dominated by " + std::to_string(s.dominated_by.size());
    text += "; dominates " + std::to_string(s.dominates.size()) + "\n";
    for (const auto& [first, last] : times_on_front(study, c.id))
      text += "  on the front after generation " + std::to_string(first) +
              (last > first ? " to " + std::to_string(last) : "") + "\n";
    for (std::size_t i = 0; i < std::min(kNamed, s.dominated_by.size()); ++i)
      text += "  " + std::to_string(s.dominated_by[i]) + ": " +
              figures(study, *study.candidate(s.dominated_by[i])) + "\n";
    if (s.dominated_by.size() > kNamed)
      text += "  and " + std::to_string(s.dominated_by.size() - kNamed) + " more\n";
  } else if (c.state == CandidateRecord::State::scored) {
    text += c.violation > 0
                ? "not feasible: it breaks a limit\n"
                : "on no front: others of its generation were better when its training was stopped\n";
  }
  text += "ancestry:\n";
  for (const auto& [ancestor, distance] : ancestry(study, c)) {
    std::vector<std::string> parents;
    for (i64 id : ancestor->parents) parents.push_back(std::to_string(id));
    const std::vector<std::string> changes = new_genes(space, study, *ancestor);
    text += "  " + std::string(std::size_t(2 * std::min(distance, 20)), ' ') + std::to_string(ancestor->id) +
            " (generation " + std::to_string(ancestor->generation) + ", " + ancestor->origin +
            (parents.empty() ? "" : " of " + join(parents, " and ")) + "): " + figures(study, *ancestor) +
            (changes.empty() ? "" : "; new: " + join(changes, ", ")) + "\n";
  }
  return text;
}

ordered_json json_of(const nas::Study& study, const nas::Space& space, const CandidateRecord& c) {
  const auto state = [](const CandidateRecord& r) {
    return r.state == CandidateRecord::State::failed ? "failed" : "scored";
  };
  const Standing s = standing_of(study, c);
  ordered_json predicted = ordered_json::array(), on_front = ordered_json::array();
  for (const Predicted& p : predictions(study, space, c))
    predicted.push_back({{"of", p.what}, {"by", p.by}, {"predicted", p.value}, {"measured", p.measured}});
  for (const auto& [first, last] : times_on_front(study, c.id))
    on_front.push_back({{"first", first}, {"last", last}});
  ordered_json line = ordered_json::array();
  for (const auto& [ancestor, distance] : ancestry(study, c))
    line.push_back({{"id", ancestor->id},
                    {"distance", distance},
                    {"generation", ancestor->generation},
                    {"origin", ancestor->origin},
                    {"parents", ancestor->parents},
                    {"state", state(*ancestor)},
                    {"accuracy_tune", ancestor->accuracy_tune},
                    {"avg_macs", ancestor->avg_macs},
                    {"new_genes", new_genes(space, study, *ancestor)}});
  return {{"id", c.id},
          {"state", state(c)},
          {"reason", c.reason},
          {"genotype", c.genotype},
          {"generation", c.generation},
          {"seed", c.seed},
          {"predictions", predicted},
          {"train_macs", c.train_macs},
          {"epochs", c.epochs},
          {"rungs_left", c.rungs_left},
          {"accuracy_tune", c.accuracy_tune},
          {"avg_macs", c.avg_macs},
          {"full_macs", c.full_macs},
          {"params", c.params},
          {"latency_us", std::isnan(c.latency_us) ? ordered_json() : ordered_json(c.latency_us)},
          {"objective_names", names_of(nas::objectives_of(study.config))},
          {"objectives", c.objectives},
          {"violation", c.violation},
          {"on_front", scored(c) && s.dominated_by.empty()},
          {"front_generations", on_front},
          {"dominated_by", s.dominated_by},
          {"dominates", s.dominates},
          {"ancestry", line}};
}

}  // namespace

void run_why(Console& console, const Words& words) {
  std::string dir, id;
  Args args(console, "why", "where a candidate comes from, when it was found and what dominates it",
            {"offramp why run1 37", "offramp why run1 37 --json"});
  args.word("DIR", dir, "run directory of offramp search")
      .word("ID", id, "candidate, as front.csv and the model files count them");
  if (!args.parse(words)) return;
  const nas::Study study = nas::read_study(dir);
  const nas::Space space = nas::Space::parse(study.space_text, dir + "/space.toml");
  const i64 wanted = parse_count(id, "ID");
  const CandidateRecord* c = study.candidate(wanted);
  if (!c)
    throw usage_error(dir + " has no candidate " + id + "; it has " +
                      std::to_string(study.candidates.size()) + ", counted from 0");
  for (const CandidateRecord& record : study.candidates) space.require(record.genotype);
  if (console.options.json) return console.print_json(json_of(study, space, *c));
  console.print(text_of(study, space, *c));
}

}  // namespace offramp::cli
