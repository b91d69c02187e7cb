#include "nas/study/study.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "kernels/error.h"
#include "nas/parse.h"
#include "nas/study/store.h"
#include "tensor/file.h"

namespace offramp::nas {
namespace {

constexpr Objective kErrorAndMacs[] = {Objective::error, Objective::macs};

constexpr i64 kMaxText = i64{1} << 24;  // bytes of a file that people read

// Fields of a line; a field in quotes may hold commas.
std::vector<std::string> fields_of(const std::string& line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (char c : line) {
    if (c == '"')
      quoted = !quoted;
    else if (c == ',' && !quoted)
      fields.emplace_back();
    else
      fields.back() += c;
  }
  return fields;
}

std::vector<FrontRow> read_front(const std::string& path) {
  const std::string text = read_file(path, kMaxText);
  std::vector<std::string> names;
  std::vector<FrontRow> rows;
  for (std::size_t at = 0, end; at < text.size(); at = end + 1) {
    end = std::min(text.find('\n', at), text.size());
    const std::vector<std::string> fields = fields_of(text.substr(at, end - at));
    if (names.empty()) {
      names = fields;
      continue;
    }
    const auto field = [&](const std::string& name) -> const std::string& {
      const auto found = std::size_t(std::find(names.begin(), names.end(), name) - names.begin());
      if (found >= fields.size())
        throw input_error(path + ": no '" + name + "' in line '" + fields[0] + ",...'");
      return fields[found];
    };
    FrontRow row{.id = parse_count(field("id"), path + ": id"),
                 .accuracy_tune = parse_number(field("accuracy_tune"), path + ": accuracy_tune"),
                 .accuracy_test = parse_number(field("accuracy_test"), path + ": accuracy_test"),
                 .avg_macs = parse_number(field("avg_macs"), path + ": avg_macs"),
                 .full_macs = parse_count(field("full_macs"), path + ": full_macs"),
                 .params = parse_count(field("params"), path + ": params")};
    if (const std::string& us = field("latency_us"); !us.empty())
      row.latency_us = parse_number(us, path + ": latency_us");
    rows.push_back(row);
  }
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
  if (const std::string path = dir + "/front.csv"; std::filesystem::exists(path)) try {
      study.finals = read_front(path);
    } catch (const Error& e) {
      throw input_error(e.what());  // what is wrong is the file, not how the program was called
    }
  return study;
}

}  // namespace offramp::nas
