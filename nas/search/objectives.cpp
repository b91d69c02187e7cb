#include "nas/search/objectives.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "kernels/error.h"
#include "kernels/nearest.h"
#include "nas/search/hypervolume.h"

namespace offramp::nas {
namespace {

struct Described {
  const char* name;
  const char* format;  // of value x scale
  double scale;
  double low, high;  // decimal logarithms of ideal and reference
};
constexpr Described kCosts[] = {{"macs", "%.3fM MACs", 1e-6, 5, 8},
                                {"latency", "%.1f us", 1, 1, 4},
                                {"full_macs", "%.3fM MACs at most", 1e-6, 5, 8},
                                {"params", "%.1fk parameters", 1e-3, 3, 7}};

const Described& described(Objective cost) { return kCosts[int(cost) - 1]; }

// The smaller of a target and a limit, where 0 is none.
std::optional<double> smaller(double a, double b) {
  if (a > 0 && b > 0) return std::min(a, b);
  if (a > 0 || b > 0) return std::max(a, b);
  return std::nullopt;
}

}  // namespace

std::vector<std::string> objective_names() {
  std::vector<std::string> names{"error"};
  for (const Described& d : kCosts) names.push_back(d.name);
  return names;
}

std::vector<Objective> parse_objectives(const std::string& list) {
  const std::vector<std::string> names = objective_names();
  std::vector<Objective> objectives{Objective::error};
  for (std::size_t at = 0, end; at <= list.size(); at = end + 1) {
    end = std::min(list.find(',', at), list.size());
    const std::string word = list.substr(at, end - at);
    const auto found = std::find(names.begin(), names.end(), word);
    if (found == names.end())
      throw usage_error("objective: wanted one or two of macs, latency, full_macs and params, got '" + word +
                        "'" + did_you_mean(word, names));
    const Objective o = Objective(found - names.begin());
    if (o == Objective::error) continue;
    if (std::find(objectives.begin(), objectives.end(), o) != objectives.end())
      throw usage_error("objective: '" + word + "' stands there twice");
    objectives.push_back(o);
  }
  if (objectives.size() < 2 || objectives.size() > 3)
    throw usage_error("objective: wanted one or two costs beside the error, got '" + list + "'");
  return objectives;
}

std::string text_of(std::span<const Objective> objectives) {
  std::string text;
  for (Objective o : objectives)
    if (o != Objective::error) text += (text.empty() ? "" : ",") + std::string(described(o).name);
  return text;
}

std::vector<Objective> objectives_of(const SearchConfig& config) {
  return parse_objectives(config.objective);
}

bool needs_latency(const SearchConfig& config) {
  const std::vector<Objective> all = objectives_of(config);
  return std::find(all.begin(), all.end(), Objective::latency) != all.end() || config.target_latency_us > 0 ||
         config.limits.latency_us > 0 || config.limits.avg_latency_us > 0;
}

bool tunes_on_latency(const SearchConfig& config) {
  if (config.target_latency_us > 0 || config.target_macs > 0) return config.target_latency_us > 0;
  const bool limited = config.limits.avg_latency_us > 0;
  if (limited != (config.limits.avg_macs > 0)) return limited;
  for (Objective o : objectives_of(config))
    if (o == Objective::macs || o == Objective::latency) return o == Objective::latency;
  return false;
}

std::optional<double> tuning_target(const SearchConfig& config) {
  return tunes_on_latency(config) ? smaller(config.target_latency_us, config.limits.avg_latency_us)
                                  : smaller(double(config.target_macs), double(config.limits.avg_macs));
}

bool meets_target(const SearchConfig& config, double avg_macs, double latency_us) {
  return (config.target_macs == 0 || avg_macs <= double(config.target_macs)) &&
         (config.target_latency_us == 0 || latency_us <= config.target_latency_us);
}

Figures figures_of(const CandidateRecord& r) {
  return {1 - r.accuracy_tune, r.avg_macs, r.latency_us, r.full_macs, r.params};
}

double value_of(Objective objective, const Figures& f) {
  switch (objective) {
    case Objective::error:
      return f.error;
    case Objective::macs:
      return f.avg_macs;
    case Objective::latency:
      return f.latency_us;
    case Objective::full_macs:
      return double(f.full_macs);
    case Objective::params:
      break;
  }
  return double(f.params);
}

std::vector<double> values_of(std::span<const Objective> objectives, const Figures& figures) {
  std::vector<double> values;
  for (Objective o : objectives) values.push_back(value_of(o, figures));
  return values;
}

double front_hypervolume(std::span<const std::vector<double>> points, std::span<const Objective> objectives,
                         i64 classes) {
  std::vector<double> ideal, reference;
  for (Objective o : objectives) {
    ideal.push_back(o == Objective::error ? 0 : described(o).low);
    reference.push_back(o == Objective::error ? 1 - 1 / double(classes) : described(o).high);
  }
  std::vector<std::vector<double>> scaled(points.begin(), points.end());
  for (std::vector<double>& p : scaled)
    for (std::size_t m = 0; m < std::min(p.size(), objectives.size()); ++m)
      if (objectives[m] != Objective::error) p[m] = std::log10(std::max(p[m], 1.0));
  return normalised_hypervolume(scaled, ideal, reference);
}

std::string in_words(Objective objective, double value) {
  char text[48];
  if (objective == Objective::error)
    std::snprintf(text, sizeof text, "%.2f %%", 100 * (1 - value));
  else
    std::snprintf(text, sizeof text, described(objective).format, value * described(objective).scale);
  return text;
}

std::string in_words(std::span<const Objective> objectives, std::span<const double> values) {
  std::string text;
  for (std::size_t m = 0; m < objectives.size(); ++m)
    text += (m == 0 ? "" : m == 1 ? " at " : ", ") + in_words(objectives[m], values[m]);
  return text;
}

}  // namespace offramp::nas
