// A run directory read back for people: what `report`, `compare` and `why` tell about. A run in progress or
// interrupted can be read at any time.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "nas/search/config.h"
#include "nas/search/front.h"
#include "nas/search/objectives.h"
#include "nas/study/curves.h"
#include "nas/study/records.h"

namespace offramp::nas {

// A row of front.csv: one network trained to the end.
struct FrontRow {
  i64 id = 0;
  double accuracy_tune = 0, accuracy_test = 0;  // 0..1
  double avg_macs = 0;
  i64 full_macs = 0, params = 0;
  std::optional<double> latency_us;
};

struct Study {
  std::string dir;
  SearchConfig config;
  std::string space_text;  // the space file as the run uses it
  i64 classes = 0;
  bool finished = false;
  std::vector<CandidateRecord> candidates;  // by id
  std::vector<CandidateRecord> rungs;       // of successive halving, by id
  std::vector<GenerationRecord> generations;
  std::vector<EventRecord> events;
  TrainingCost training;
  std::vector<FrontRow> finals;  // ascending in MACs; empty while the run goes on
  std::vector<CurveRow> curves;  // of all final networks, those that are not on the front too

  i64 failed() const;
  // Computed in all, from the events: a part that was killed counts up to its last event.
  double seconds() const;
  // Successive halving, from the first rung on; empty without it.
  struct Rung {
    i64 epochs = 0, candidates = 0;
    i64 train_macs = 0;  // of this rung alone
  };
  std::vector<Rung> rung_costs() const;
  const CandidateRecord* candidate(i64 id) const;  // null: there is none
  // Non-dominated candidates in these objectives, as scored during the search. On error and average MACs,
  // runs compare whatever they searched for.
  Front front(std::span<const Objective> objectives) const;
  Front macs_front() const;
  double hypervolume() const;       // of macs_front; see front_hypervolume
  double test_hypervolume() const;  // of the finals, by their error on the test split
  // Of the finals at all their thresholds: of the points that are not dominated on the tune split.
  double curve_hypervolume() const;
};

// Throws Error(input) when `dir` is no run directory or one of its files is damaged.
Study read_study(const std::string& dir);

}  // namespace offramp::nas
