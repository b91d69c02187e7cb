// offramp bench: every row of every kernel table on real layer shapes, verified first
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <thread>

#include "kernels/blas.h"
#include "kernels/error.h"
#include "kernels/timing.h"
#include "nas/cli/bench_cases.h"
#include "nas/cli/verb.h"
#include "nas/microbench/bed.h"
#include "nas/microbench/figures.h"

namespace offramp::cli {
namespace {

using namespace nas::microbench;
using nlohmann::ordered_json;

struct Result {
  std::string row, what;
  std::string wrong;  // not empty: not timed
  Timing us;
  i64 iterations = 0;
  Figures figures;
};

std::regex filter_of(const std::string& text) {
  try {
    return std::regex(text);
  } catch (const std::regex_error&) {
    throw usage_error("bench: --filter '" + text + "' is no regular expression");
  }
}

// The rows of one work, timed in turns so that drift meets all of them alike.
void time_work(const SharedWork& work, const std::vector<const WorkRow*>& rows, Bed& bed, double seconds,
               const kernels::Roofline& roofline, int threads, std::vector<Result>& results) {
  constexpr int kTurns = 5;
  constexpr double kBurst = 2e-4;  // seconds between two looks at the clock
  bed.set(work);
  std::vector<std::vector<double>> times(rows.size());
  std::vector<i64> repeats(rows.size(), 1), iterations(rows.size(), 0);
  const std::size_t first = results.size();
  i64 footprint = 0;
  for (int turn = -1; turn < kTurns; ++turn)
    for (std::size_t r = 0; r < rows.size(); ++r) {
      const WorkRow& row = *rows[r];
      Exec exec(row.target, threads);
      bed.prepare(row);
      footprint = std::max(footprint, bed.weight_footprint());
      if (turn < 0) {
        results.push_back({.row = std::string(row.name),
                           .what = work->what,
                           .wrong = {},
                           .us = {},
                           .iterations = 0,
                           .figures = {}});
        results.back().wrong = bed.disagreement(exec, row);
        if (!results.back().wrong.empty()) continue;
        const Timing once =
            measure([&] { bed.run(exec, row); }, {.warm_up = 2, .min_runs = 3, .max_runs = 3});
        repeats[r] = std::clamp<i64>(i64(kBurst * 1e6 / std::max(once.min_us, 1e-3)), 1, 1000000);
        continue;
      }
      if (!results[first + r].wrong.empty()) continue;
      const auto burst = [&] {
        for (i64 i = 0; i < repeats[r]; ++i) bed.run(exec, row);
      };
      const Timing t =
          measure(burst, {.warm_up = 1, .min_runs = 3, .max_runs = 100000, .min_seconds = seconds / kTurns});
      times[r].push_back(t.median_us / double(repeats[r]));
      iterations[r] += t.runs * repeats[r];
    }
  for (std::size_t r = 0; r < rows.size(); ++r) {
    Result& result = results[first + r];
    if (!result.wrong.empty()) continue;
    std::vector<double>& t = times[r];
    std::sort(t.begin(), t.end());
    result.us = {.median_us = t[t.size() / 2],
                 .p10_us = t.front(),
                 .p90_us = t.back(),
                 .min_us = t.front(),
                 .runs = i64(t.size())};
    result.iterations = iterations[r];
    result.figures =
        figures(*work, result.us.median_us * 1e-6, roofline, threads, rows[r]->pack ? footprint : 0);
  }
}

// The layout of Google Benchmark's --benchmark_format=json.
ordered_json to_json(const std::vector<Result>& results, const kernels::Roofline& roofline, int threads,
                     const std::string& absent) {
  char date[40];
  const std::time_t now = std::time(nullptr);
  std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S+00:00", std::gmtime(&now));
  ordered_json context{{"date", date},
                       {"executable", "offramp bench"},
                       {"num_cpus", std::thread::hardware_concurrency()},
                       {"library_build_type", "release"},
                       {"roofline", roofline.text()},
                       {"absent_rows", absent}};
  if (!blas_name().empty()) context["blas"] = blas_name();
  ordered_json list = ordered_json::array();
  i64 index = 0;
  for (const Result& r : results) {
    const std::string name = r.row + " " + r.what;
    ordered_json b{{"name", name},          {"family_index", index++}, {"per_family_instance_index", 0},
                   {"run_name", name},      {"run_type", "iteration"}, {"repetitions", 1},
                   {"repetition_index", 0}, {"threads", threads}};
    if (!r.wrong.empty()) {
      b["error_occurred"] = true;
      b["error_message"] = r.wrong;
    }
    b["iterations"] = r.iterations;
    b["real_time"] = r.us.median_us;
    b["cpu_time"] = r.us.median_us;
    b["time_unit"] = "us";
    b["status"] = r.wrong.empty() ? "ok" : "wrong";
    if (r.wrong.empty()) {
      b["min_time"] = r.us.min_us;
      b["max_time"] = r.us.p90_us;
    }
    for (const auto& [key, value] : r.figures) b[std::string(key)] = value;
    list.push_back(std::move(b));
  }
  return {{"context", context}, {"benchmarks", list}};
}

std::string in_columns(const std::vector<Result>& results) {
  const std::vector<std::string> columns{"GMAC/s", "GOP/s", "GB/s", "ops/B", "peak%", "valid%", "roof%"};
  std::vector<std::vector<std::string>> rows{{"row", "problem", "us", "spread%"}};
  rows[0].insert(rows[0].end(), columns.begin(), columns.end());
  rows[0].push_back("status");
  const auto number = [](const char* format, double v) {
    char text[40];
    std::snprintf(text, sizeof text, format, v);
    return std::string(text);
  };
  for (const Result& r : results) {
    std::vector<std::string> line{r.row, r.what};
    if (r.wrong.empty()) {
      line.push_back(number("%.2f", r.us.median_us));
      line.push_back(number("%.0f", 100 * (r.us.p90_us - r.us.min_us) / r.us.median_us));
    } else {
      line.insert(line.end(), 2, "");
    }
    for (const std::string& column : columns) {
      const auto found =
          std::find_if(r.figures.begin(), r.figures.end(), [&](const auto& f) { return f.first == column; });
      line.push_back(found == r.figures.end() ? "" : number("%.1f", found->second));
    }
    line.push_back(r.wrong.empty() ? "ok" : r.wrong);
    rows.push_back(line);
  }
  return table(rows);
}

// Of how many works each row was the fastest that some target can take. Rows that never were are returned but
// for the general ones: OpenBLAS is held against, "any" rows serve what no other accepts.
std::vector<std::string> winners(const std::vector<SharedWork>& works, const std::vector<Result>& results,
                                 std::string& text) {
  std::map<std::string, std::pair<i64, i64>> won;  // row -> won, seen
  std::map<std::string, std::vector<std::pair<Target, const Result*>>> by_what;
  std::map<std::string, Target> target_of;
  for (const SharedWork& work : works)
    for (const WorkRow& row : work->rows) target_of[std::string(row.name)] = row.target;
  for (const Result& r : results)
    if (r.wrong.empty())  // rows of different families compute different things on the same text
      by_what[r.row.substr(0, r.row.find('/')) + " " + r.what].emplace_back(target_of[r.row], &r);
  for (const auto& [what, rows] : by_what) {
    std::map<std::string, bool> wins;
    for (Target target : {Target::portable, Target::avx2, Target::avx512}) {
      const Result* best = nullptr;
      for (const auto& [row_target, r] : rows)
        if (row_target <= target && (!best || r->us.median_us < best->us.median_us)) best = r;
      if (best) wins[best->row] = true;
    }
    for (const auto& [row_target, r] : rows) {
      ++won[r->row].second;
      won[r->row].first += wins.count(r->row);
    }
  }
  std::vector<std::vector<std::string>> rows{{"row", "fastest for", "of problems"}};
  std::vector<std::string> never;
  for (const auto& [row, count] : won) {
    rows.push_back({row, std::to_string(count.first), std::to_string(count.second)});
    const bool general =
        row.find("/any/portable") != std::string::npos || row.find("openblas") != std::string::npos;
    if (count.first == 0 && !general) never.push_back(row);
  }
  text = table(rows);
  return never;
}

}  // namespace

void run_bench(Console& console, const Words& words) {
  BenchOptions o;
  std::string filter = ".";
  double seconds = 0.02;
  bool win = false;
  Args args(console, "bench", "times every row of every kernel table on real layer shapes, verified first",
            {"offramp bench --filter '^depthwise/'",
             "offramp bench --all --target avx512 --filter '^conv2d/1x1' --cold 16",
             "offramp bench --problem 'depthwise n=1 h=14 w=14 c=64 kernel=5 stride=1 pad=2'",
             "offramp bench --from-model run/chosen.safetensors --json > bench.json"});
  args.option("--filter REGEX", filter, "only those whose 'row problem' has a match");
  add_bench_flags(args, o);
  args.option("--seconds S", seconds, "time spent on each row and problem (default 0.02)")
      .flag("--winners", win,
            "how often each row was the fastest a target can take; exit code 1 when one never was")
      .notes(std::string(kBenchColumns) +
             "--json has the layout of Google Benchmark. Spread: slowest minus fastest of 5 turns.\n");
  if (!args.parse(words)) return;
  if (o.print_shapes) {
    for (const Problem& p : bench_problems(o)) console.print(p.text() + "\n");
    return;
  }
  const std::regex wanted = filter_of(filter);
  std::string absent;
  const std::vector<SharedWork> works = bench_works(o, absent);
  if (!absent.empty()) console.note("cannot run here:" + absent);
  const kernels::Roofline roofline = kernels::measure_roofline();
  console.note(roofline.text());

  Bed bed(o.cold_mb << 20);
  std::vector<Result> results;
  const nas::Watch watch = console.watch();
  for (const SharedWork& work : works) {
    std::vector<const WorkRow*> rows;
    for (const WorkRow& row : work->rows)
      if (std::regex_search(std::string(row.name) + " " + work->what, wanted)) rows.push_back(&row);
    if (rows.empty()) continue;
    if (watch.stop_requested()) throw Error("bench: interrupted", Error::Kind::interrupted);
    time_work(work, rows, bed, seconds, roofline, int(o.threads), results);
  }
  if (results.empty()) throw usage_error("bench: nothing matches --filter '" + filter + "'");

  std::string wins;
  std::vector<std::string> never;
  if (win) never = winners(works, results, wins);
  if (console.options.json)
    console.print_json(to_json(results, roofline, int(o.threads), absent));
  else
    console.print(win ? wins : in_columns(results));
  const auto wrong =
      std::count_if(results.begin(), results.end(), [](const Result& r) { return !r.wrong.empty(); });
  if (wrong > 0)
    throw Error("bench: " + std::to_string(wrong) + " results disagree with the reference: see WRONG above",
                Error::Kind::verification);
  std::string names;
  for (const std::string& row : never) names += " " + row;
  if (!names.empty()) throw Error("bench: never the fastest:" + names);
}

}  // namespace offramp::cli
