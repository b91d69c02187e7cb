#include "nas/latency/table.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "kernels/error.h"
#include "nas/latency/cells.h"
#include "tensor/file.h"

namespace offramp::nas {
namespace {

constexpr std::string_view kTitle = "offramp latency table 1";
constexpr i64 kMostBytes = i64{1} << 26;

double five_digits(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.5g", value);
  return std::strtod(text, nullptr);
}

std::string spell(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.5g", value);
  return text;
}

std::string spell(const std::vector<double>& values) {
  std::string text;
  for (double v : values) text += (text.empty() ? "" : ",") + spell(v);
  return text;
}

}  // namespace

double LatencyEntry::quantile_us(double q) const {
  if (observed.empty()) return 0;
  std::vector<double> sorted = observed;
  std::sort(sorted.begin(), sorted.end());
  const double at = q * double(sorted.size() - 1);
  const std::size_t below = std::size_t(at), above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - double(below)) * (sorted[above] - sorted[below]);
}

double LatencyEntry::median_us() const { return quantile_us(0.5); }

const LatencyEntry* LatencyTable::find(const std::string& key, Residence residence) const {
  const auto found = entries_.find({key, residence});
  return found == entries_.end() ? nullptr : &found->second;
}

void LatencyTable::add(const std::string& key, Residence residence, double us) {
  std::vector<double>& observed = entries_[{key, residence}].observed;
  if (i64(observed.size()) < kMostObservations) observed.push_back(five_digits(us));
}

void LatencyTable::add_run(TimedRun run) {
  run.whole_us = five_digits(run.whole_us);
  run.steps_us = five_digits(run.steps_us);
  runs_.push_back(std::move(run));
}

void LatencyTable::add_reference(const std::string& space, double us) {
  references_[space].observed.push_back(five_digits(us));
}

double LatencyTable::reference_us(const std::string& space) const {
  const auto found = references_.find(space);
  return found == references_.end() ? 0 : found->second.observed.front();
}

double LatencyTable::per_call_us() const {
  LatencyEntry beside;
  for (const TimedRun& r : runs_) beside.observed.push_back((r.whole_us - r.steps_us) / double(r.calls));
  return beside.median_us();
}

std::string LatencyTable::text() const {
  std::string text(kTitle);
  const auto line = [&](std::initializer_list<std::string> cells) {
    text += '\n';
    bool first = true;
    for (const std::string& c : cells) {
      if (!first) text += '\t';
      text += c;
      first = false;
    }
  };
  line({"cpu", machine_.cpu});
  line({"target", std::string(target_name(machine_.target))});
  line({"threads", std::to_string(machine_.threads)});
  line({"fingerprint", machine_.fingerprint});
  line({"private_bytes", std::to_string(machine_.private_bytes)});
  line({"shared_bytes", std::to_string(machine_.shared_bytes)});
  line({"# per call " + spell(per_call_us()) + " us beside the kernels"});
  for (const auto& [space, entry] : references_) line({"reference", space, spell(entry.observed)});
  line({"# run, space, classes, channels, height, width, genotype, us end to end, us sum of calls, calls"});
  for (const TimedRun& r : runs_)
    line({"run", r.space, task_cells(r.task), to_text(r.genotype), spell(r.whole_us), spell(r.steps_us),
          std::to_string(r.calls)});
  line({"# key, call, where the weights are, us median, us p10, us p90, us observed"});
  for (const auto& [key, entry] : entries_)
    line({"key", key.first, std::string(residence_name(key.second)), spell(entry.median_us()),
          spell(entry.quantile_us(0.1)), spell(entry.quantile_us(0.9)), spell(entry.observed)});
  line({"end", std::to_string(entries_.size())});
  return text + "\n";
}

LatencyTable LatencyTable::parse(const std::string& text, const std::string& path) {
  LatencyMachine machine;
  LatencyTable table({});
  i64 number_of_line = 0;
  std::map<std::string, bool> seen;
  const auto times = [](std::string_view cell) {
    std::vector<double> values;
    for (std::string_view v : split_cells(cell, ',')) values.push_back(cell_time(v));
    return values;
  };
  const auto read = [&](std::string_view line) {
    const std::vector<std::string_view> cells = split_cells(line, '\t');
    const std::string kind(cells[0]);
    const auto want = [&](std::size_t n) {
      if (cells.size() != n)
        throw input_error("a line '" + kind + "' has " + std::to_string(n - 1) + " cells, not " +
                          std::to_string(cells.size() - 1));
    };
    if (kind == "key") {
      want(7);
      LatencyEntry& entry = table.entries_[{std::string(cells[1]), parse_residence(cells[2])}];
      if (!entry.observed.empty()) throw input_error("this key stands there twice");
      entry.observed = times(cells[6]);
    } else if (kind == "run") {
      want(10);
      TimedRun run{.space = std::string(cells[1])};
      run.task = cell_task(&cells[2]);
      run.genotype = cell_genotype(cells[6]);
      run.whole_us = cell_time(cells[7]);
      run.steps_us = cell_time(cells[8]);
      run.calls = cell_count(cells[9], 1, 1 << 20);
      table.runs_.push_back(std::move(run));
    } else if (kind == "reference") {
      want(3);
      table.references_[std::string(cells[1])].observed = times(cells[2]);
    } else {
      want(2);
      if (seen[kind]) throw input_error("'" + kind + "' stands there twice");
      seen[kind] = true;
      if (kind == "cpu")
        machine.cpu = cells[1];
      else if (kind == "target")
        machine.target = parse_target(cells[1]);
      else if (kind == "threads")
        machine.threads = int(cell_count(cells[1], 1, 4096));
      else if (kind == "fingerprint")
        machine.fingerprint = cells[1];
      else if (kind == "private_bytes")
        machine.private_bytes = cell_count(cells[1], 1, i64{1} << 50);
      else if (kind == "shared_bytes")
        machine.shared_bytes = cell_count(cells[1], 1, i64{1} << 50);
      else if (kind == "end")
        cell_count(cells[1], i64(table.entries_.size()), i64(table.entries_.size()));
      else
        throw input_error("there is no line '" + kind.substr(0, 40) + "'");
    }
  };
  for (std::string_view line : split_cells(text, '\n')) {
    ++number_of_line;
    if (number_of_line == 1 && line != kTitle)
      throw input_error(path + ": is no latency table: its first line is not '" + std::string(kTitle) + "'");
    if (number_of_line == 1 || line.empty() || line[0] == '#') continue;
    try {
      read(line);
    } catch (const Error& e) {
      throw input_error(path + ":" + std::to_string(number_of_line) + ": " + e.what());
    }
  }
  for (const char* must : {"cpu", "target", "threads", "fingerprint", "private_bytes", "shared_bytes", "end"})
    if (!seen[must]) throw input_error(path + ": the line '" + std::string(must) + "' is missing");
  table.machine_ = std::move(machine);
  return table;
}

LatencyTable LatencyTable::load(const std::string& path) { return parse(read_file(path, kMostBytes), path); }

void LatencyTable::save(const std::string& path) const { write_file_atomically(path, text()); }

void require_current(const LatencyTable& table, const std::string& path) {
  if (table.machine().fingerprint == kernel_fingerprint()) return;
  throw input_error(path + ": was measured with other kernels (fingerprint " + table.machine().fingerprint +
                    ", this program has " + std::string(kernel_fingerprint()) + "); measure again on " +
                    table.machine().cpu + " with this program");
}

bool measurable_here(const LatencyTable& table) {
  const LatencyMachine& m = table.machine();
  return cpu_supports(m.target) && m == this_machine(m.target, m.threads);
}

}  // namespace offramp::nas
