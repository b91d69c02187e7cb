// What a search minimises: the error and one or two costs, named by the configuration's `objective`.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "nas/search/config.h"
#include "nas/study/records.h"

namespace offramp::nas {

// macs, latency: of an image on average, with its thresholds. full_macs: of one that runs past every exit to
// the end. Latency in us.
enum class Objective { error, macs, latency, full_macs, params };

// In the order of the enum; they are the words of `objective`.
std::vector<std::string> objective_names();

// "macs,params": error (named or not, always first), then one or two different costs in the order given.
// Throws Error(usage) with the nearest spelling.
std::vector<Objective> parse_objectives(const std::string& list);
// The shortest list that parse_objectives reads so: without error.
std::string text_of(std::span<const Objective> objectives);

std::vector<Objective> objectives_of(const SearchConfig& config);

// Whether a run needs a latency table.
bool needs_latency(const SearchConfig& config);
// Thresholds are tuned on one cost: the one that has a target, else the one whose average is limited, else
// the first of average MACs and latency that is an objective, else MACs. True: on latency.
bool tunes_on_latency(const SearchConfig& config);
// What that cost may be on average: target and limit, in MACs or us.
std::optional<double> tuning_target(const SearchConfig& config);
// Whether a network's averages meet the target; always without one.
bool meets_target(const SearchConfig& config, double avg_macs, double latency_us);

// What objectives are made of; latency_us is NaN without a latency table.
struct Figures {
  double error = 0, avg_macs = 0, latency_us = 0;
  i64 full_macs = 0, params = 0;
};
Figures figures_of(const CandidateRecord& record);
double value_of(Objective objective, const Figures& figures);
std::vector<double> values_of(std::span<const Objective> objectives, const Figures& figures);

// Share that `points` dominate of the box from the ideal (no error, 10^5 MACs, 10 us, 10^3 parameters) to the
// reference (chance among `classes`, 10^8 MACs, 10 ms, 10^7 parameters), costs on a logarithmic scale.
double front_hypervolume(std::span<const std::vector<double>> points, std::span<const Objective> objectives,
                         i64 classes);

// "88.43 %" (of accuracy), "0.117M MACs", "431.2 us", "0.182M MACs at most", "23.5k parameters".
std::string in_words(Objective objective, double value);
// The accuracy, " at ", the costs: "88.43 % at 0.117M MACs, 23.5k parameters".
std::string in_words(std::span<const Objective> objectives, std::span<const double> values);

}  // namespace offramp::nas
