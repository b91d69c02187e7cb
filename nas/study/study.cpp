#include "nas/study/study.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "kernels/error.h"
#include "nas/parse.h"
#include "nas/study/csv.h"
#include "nas/study/store.h"
#include "tensor/file.h"

namespace offramp::nas {
namespace {

constexpr Objective kErrorAndMacs[] = {Objective::error, Objective::macs};

constexpr i64 kMaxText = i64{1} << 24;  // bytes of a file that people read

std::vector<FrontRow> read_front(const std::string& path) {
  std::vector<FrontRow> rows;
  each_csv_row(path, [&](const CsvRow& row) {
    rows.push_back({.id = row.count("id"),
                    .accuracy_tune = row.number("accuracy_tune"),
                    .accuracy_test = row.number("accuracy_test"),
                    .avg_macs = row.number("avg_macs"),
                    .full_macs = row.count("full_macs"),
                    .params = row.count("params")});
    if (!row.text("latency_us").empty()) rows.back().latency_us = row.number("latency_us");
  });
  return rows;
}

}  // namespace

i64 Study::failed() const {
  return std::count_if(candidates.begin(), candidates.end(),
                       [](const auto& c) { return c.state == CandidateRecord::State::failed; });
}

double Study::seconds() const {
  double sum = 0, last = 0;
  for (const EventRecord& e : events) {
    if (e.kind != "start" && e.kind != "resume") sum += e.unix_seconds - last;
    last = e.unix_seconds;
  }
  return sum;
}

std::vector<Study::Rung> Study::rung_costs() const {
  std::map<i64, Rung> by_epochs;
  for (std::size_t i = 0; i < rungs.size(); ++i) {
    const bool goes_on = i > 0 && rungs[i - 1].id == rungs[i].id;
    Rung& rung = by_epochs[rungs[i].epochs];
    rung.epochs = rungs[i].epochs;
    ++rung.candidates;
    rung.train_macs += rungs[i].train_macs - (goes_on ? rungs[i - 1].train_macs : 0);
  }
  std::vector<Rung> all;
  for (const auto& [epochs, rung] : by_epochs) all.push_back(rung);
  return all;
}

const CandidateRecord* Study::candidate(i64 id) const {
  const auto found = std::lower_bound(candidates.begin(), candidates.end(), id,
                                      [](const CandidateRecord& c, i64 wanted) { return c.id < wanted; });
  return found != candidates.end() && found->id == id ? &*found : nullptr;
}

Front Study::front(std::span<const Objective> objectives) const {
  Front front;
  for (const CandidateRecord& c : candidates)
    if (c.state == CandidateRecord::State::scored)
      front.insert(c.id, Scored{values_of(objectives, figures_of(c)), c.violation, c.rungs_left});
  return front;
}

Front Study::macs_front() const { return front(kErrorAndMacs); }

double Study::hypervolume() const {
  return front_hypervolume(macs_front().objectives(), kErrorAndMacs, classes);
}

double Study::test_hypervolume() const {
  std::vector<std::vector<double>> points;
  for (const FrontRow& row : finals) points.push_back({1 - row.accuracy_test, row.avg_macs});
  return front_hypervolume(points, kErrorAndMacs, classes);
}

double Study::curve_hypervolume() const {
  std::vector<std::vector<double>> points;
  for (const CurveRow& row : non_dominated(curves))
    points.push_back({1 - row.accuracy_test, row.avg_macs_test});
  return front_hypervolume(points, kErrorAndMacs, classes);
}

Study read_study(const std::string& dir) {
  Study study{.dir = dir};
  if (!std::filesystem::exists(dir + "/run.toml"))
    throw input_error(dir + " is not a run directory: there is no " + dir + "/run.toml");
  read_config(study.config, dir + "/run.toml");
  study.space_text = read_file(dir + "/space.toml", kMaxText);
  const Store store = Store::open(dir + "/archive.sqlite", Store::Access::read);
  study.candidates = store.candidates();
  study.rungs = store.rungs();
  study.generations = store.generations();
  study.events = store.events();
  study.training = store.training_cost();
  study.finished = store.meta(kMetaFinished).has_value();
  // Written when the search begins to propose; a run that is still training its supernet has no candidates.
  if (const auto classes = store.meta(kMetaClasses))
    study.classes = parse_count(*classes, "archive: classes");
  if (study.classes < 2 && !study.candidates.empty())
    throw input_error(dir + "/archive.sqlite: does not say how many classes the data have");
  if (const std::string path = dir + "/front.csv"; std::filesystem::exists(path))
    study.finals = read_front(path);
  if (const std::string path = dir + "/curves.csv"; std::filesystem::exists(path))
    study.curves = read_curves(path);
  return study;
}

}  // namespace offramp::nas
