// offramp measure: the latency table of this machine
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

#include "kernels/exec.h"
#include "kernels/timing.h"
#include "nas/cli/files.h"
#include "nas/cli/verb.h"
#include "nas/latency/measure.h"
#include "nas/latency/missing.h"

namespace offramp::cli {
namespace {

using nlohmann::ordered_json;

struct Request {
  std::string space, keys, out = "latency.tsv";
  nas::Task task;
  i64 each = 3, threads = 1;
  double seconds = 0;
  bool force = false;
};

// Networks of one space that have keys to be timed.
struct Job {
  nas::Space space;
  nas::Task task;
  nas::CoverOptions cover;
};

// The table that is there, if it is of this machine and these kernels; else an empty one.
nas::LatencyTable open_table(Console& console, const Request& r, const nas::LatencyMachine& here) {
  if (r.force || !std::filesystem::exists(r.out)) return nas::LatencyTable(here);
  nas::LatencyTable table = nas::LatencyTable::load(r.out);
  const nas::LatencyMachine& there = table.machine();
  if (there.cpu != here.cpu || there.target != here.target || there.threads != here.threads)
    throw usage_error(r.out + " is the table of " + there.cpu + ", target " +
                      std::string(target_name(there.target)) + ", threads " + std::to_string(there.threads) +
                      ": choose another --out, or --force to replace it");
  if (there == here) return table;
  console.note(r.out + " was measured with other kernels or caches: measured again from the start");
  return nas::LatencyTable(here);
}

std::vector<Job> jobs_of(const Request& r) {
  std::vector<Job> jobs;
  if (!r.space.empty()) jobs.push_back({nas::Space::load(r.space), r.task, {.each = r.each}});
  if (r.keys.empty()) return jobs;
  std::map<std::tuple<std::string, i64, i64, i64, i64>, std::size_t> at;
  for (const nas::MissingKey& m : nas::read_missing(r.keys)) {
    const auto [found, is_new] = at.emplace(
        std::make_tuple(m.space, m.task.classes, m.task.channels, m.task.height, m.task.width), jobs.size());
    if (is_new)
      jobs.push_back(
          {nas::Space::load(m.space), m.task, {.each = r.each, .patience = 400, .only_start = true}});
    Job& job = jobs[found->second];
    job.space.require(m.genotype);
    job.cover.start.push_back(job.space.canonical(m.genotype));
  }
  return jobs;
}

}  // namespace

void run_measure(Console& console, const Words& words) {
  Request r;
  Args args(console, "measure", "build or go on building this machine's latency table",
            {"offramp measure --space cifar --out latency.tsv",
             "offramp measure --keys run/missing_keys.txt --out latency.tsv"});
  args.option("--space S", r.space, "time every kernel call that networks of this space make")
      .option("--keys FILE", r.keys, "time the calls of a missing_keys.txt")
      .option("--out FILE", r.out, "the table, default " + r.out + "; one that is there is completed")
      .flag("--force", r.force, "start again, whatever is in FILE")
      .option("--each N", r.each, "networks to time each call in, default " + std::to_string(r.each), 1, 48)
      .option("--seconds T", r.seconds, "stop after T seconds; the same command goes on")
      .option("--classes N", r.task.classes, "of the space's networks, default 10", 2, 100000)
      .option("--channels N", r.task.channels, "of their input, default 3", 1, 1024)
      .option("--height N", r.task.height, "of their input, where the space takes the data's own size", 0,
              4096)
      .option("--width N", r.task.width, "likewise", 0, 4096)
      .option("--threads N", r.threads, "of the kernels timed, default 1", 1, 1024)
      .notes(
          "Calls are timed one by one inside running networks of the space, batch 1. The table holds for\n"
          "this CPU, target (OFFRAMP_TARGET), number of threads and these kernels alone. Carry the program\n"
          "to another machine to measure there, and the table back to search for it (search "
          "--latency-table).\n");
  if (!args.parse(words)) return;
  if (r.space.empty() && r.keys.empty()) throw usage_error("measure: give --space or --keys");
  if (!(r.seconds >= 0 && r.seconds <= 1e9)) throw usage_error("--seconds: wanted 0 (no limit) to 10^9");

  const double start = now_seconds();
  Exec exec(default_target(), int(r.threads));
  nas::Watch watch = console.watch();
  nas::LatencyTable table = open_table(console, r, nas::this_machine(exec.target(), exec.threads()));
  require_writable(r.out);
  const std::vector<Job> jobs = jobs_of(r);
  const std::size_t runs_before = table.runs().size();
  std::size_t networks = 0;
  bool time_up = false;
  try {
    for (const Job& job : jobs) {
      const nas::Cover cover = nas::cover_space(job.space, job.task, table, job.cover, watch);
      networks += cover.networks.size();
      if (r.seconds > 0) watch.deadline = start + r.seconds;
      const nas::MeasureOptions options{.after_group = [&] { table.save(r.out); }};
      nas::measure_networks(exec, table, job.space, job.task, cover.networks, options, watch);
    }
  } catch (const Error& e) {
    if (e.kind() != Error::Kind::interrupted) throw;
    time_up = r.seconds > 0 && now_seconds() >= start + r.seconds && !stop_flag();
    if (!time_up)
      throw Error("interrupted; what was measured is kept in " + r.out + ". The same command goes on",
                  e.kind());
  }
  table.save(r.out);
  console.end_progress();
  if (time_up)
    console.note("time is up: " + std::to_string(table.runs().size() - runs_before) + " of " +
                 std::to_string(networks) + " networks timed; the same command goes on");

  std::vector<double> spread;
  for (const auto& [key, entry] : table.entries())
    if (entry.observed.size() > 1)
      spread.push_back((entry.quantile_us(0.9) - entry.quantile_us(0.1)) / std::max(entry.median_us(), 1e-3));
  const nas::LatencyEntry spreads{spread};
  const nas::LatencyMachine& m = table.machine();
  if (console.options.json)
    return console.print_json({{"table", r.out},
                               {"cpu", m.cpu},
                               {"target", target_name(m.target)},
                               {"threads", m.threads},
                               {"batch", 1},
                               {"fingerprint", m.fingerprint},
                               {"keys", table.entries().size()},
                               {"networks", table.runs().size()},
                               {"per_call_us", table.per_call_us()},
                               {"median_spread", spreads.median_us()},
                               {"complete", !time_up}});
  char text[200];
  std::snprintf(
      text, sizeof text,
      "%zu calls timed in %zu networks, median spread (p10 to p90) %.1f %%, %.3f us a call beside\n",
      table.entries().size(), table.runs().size(), 100 * spreads.median_us(), table.per_call_us());
  console.print("latency table " + r.out + " of " + m.cpu + ", target " + std::string(target_name(m.target)) +
                ", threads " + std::to_string(m.threads) + ", fingerprint " + m.fingerprint + "\n" + text);
}

}  // namespace offramp::cli
