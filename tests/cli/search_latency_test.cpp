// search with latency as an objective, with hard limits, and for a machine that is not this one.
#include <cmath>
#include <filesystem>
#include <sstream>

#include "kernels/types.h"
#include "nas/study/store.h"
#include "tests/cli/shell.h"

namespace offramp::testing {
namespace {

namespace fs = std::filesystem;

constexpr const char* kQuick =
    " --data synthetic --space small --seed 3 --set search.evals=8 --set supernet.epochs=0 --set "
    "search.sampler=nsga2 --set search.population=4 --set candidate.recalibrate=64 --set train.samples=128 "
    "--set train.batch=64 --set "
    "tune.samples=100 --set final.epochs=0 --set final.count=4 ";

using Row = std::vector<std::string>;

std::vector<Row> rows_of(const std::string& text, char cell) {
  std::vector<Row> rows;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    Row& row = rows.emplace_back();
    std::istringstream cells(line);
    for (std::string value; std::getline(cells, value, cell);) row.push_back(value);
  }
  return rows;
}

// Of front.csv: id,accuracy_tune,accuracy_test,avg_macs,full_macs,params,latency_us,genotype.
std::vector<Row> front_of(const std::string& dir) {
  std::vector<Row> rows = rows_of(slurp(dir + "/front.csv"), ',');
  EXPECT_GE(rows.size(), 2u);
  rows.erase(rows.begin());
  return rows;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

TEST(SearchLatency, SameTableSameFrontWhateverInterruptsIt) {
  const TempDir dir;
  const std::string first = dir / "first", whole = dir / "whole", parts = dir / "parts";
  const Ran ran = offramp_run("search -q --json --objective latency --threads 2 --out " + first + kQuick);
  ASSERT_EQ(ran.code, 0) << ran.err;
  // What is needed was measured, and kept.
  const std::string table = first + "/latency.tsv", measured = slurp(table);
  double last = 0;
  for (const Row& row : front_of(first)) {
    EXPECT_GT(std::stod(row[6]), last);  // ascending in the cost that was searched for
    last = std::stod(row[6]);
  }
  EXPECT_GT(ran.json()["front"][0]["latency_us"], 0.0);

  const std::string with = " --objective latency --latency-table " + table + kQuick;
  ASSERT_EQ(offramp_run("search -q --threads 1 --out " + whole + with).code, 0);
  EXPECT_EQ(slurp(whole + "/latency.tsv"), measured);  // each key once
  const Ran killed =
      sh("\"$offramp\" search -q --out " + parts + with + "& p=$!; for i in $(seq 1000); do test -e " +
         parts + "/supernet.safetensors && break; sleep 0.01; done; sleep 0.1; kill -9 $p; wait $p");
  const Ran rest = offramp_run("resume -q " + parts);
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_EQ(slurp(parts + "/front.csv"), slurp(whole + "/front.csv"));
  EXPECT_EQ(slurp(parts + "/latency.tsv"), measured);
  EXPECT_EQ(slurp(whole + "/front.csv"), slurp(first + "/front.csv"));

  // The thresholds are those that tune finds on the same table.
  for (const Row& row : front_of(whole)) {
    const std::string words = "tune --json --model " + whole + "/models/" + row[0] + ".safetensors --out " +
                              dir / "tuned.safetensors" + " --latency-table " + table;
    const nlohmann::json tuned = offramp_run(words + " --tolerance 0.002").json();
    EXPECT_NEAR(double(tuned["latency_us"]), std::stod(row[6]), 0.006);
    EXPECT_NEAR(double(tuned["accuracy"]), std::stod(row[1]), 1e-6);
    EXPECT_NEAR(double(tuned["avg_macs"]), std::stod(row[3]), 0.06);
    const double us = double(tuned["latency_us"]) + 0.01;
    const Ran held = offramp_run(words + " --target-us " + std::to_string(us));
    ASSERT_EQ(held.code, 0) << held.err;
    EXPECT_LE(double(held.json()["latency_us"]), us);
    expect_failure(words + " --target-us 0.001", 4, "0.001 us");
  }

  // eval predicts the same, path by path, and measures where there is no table.
  const Row last_row = front_of(whole).back();
  const std::string eval = "eval --json --threads 1 --split tune --model " + whole + "/models/" +
                           last_row[0] + ".safetensors --latency";
  for (const std::string& from : {" --latency-table " + table, std::string()}) {
    const Ran evaluated = offramp_run(eval + from);
    ASSERT_EQ(evaluated.code, 0) << evaluated.err;
    const nlohmann::json e = evaluated.json();
    double sum = 0, before = 0;
    for (const auto& exit : e["exits"]) {
      const double us = exit["leave_latency_us"];
      sum += double(exit["share"]) * us;
      EXPECT_EQ(us > 0, double(exit["leave_macs"]) > 0);
      if (us == 0 || from.empty()) continue;  // what the clock says of two paths may be anything
      EXPECT_GT(us, before);
      before = us;
    }
    EXPECT_NEAR(double(e["latency_us"]), sum, 1e-9 * sum);
    // The same sum as the last path's where no exit is off, but not in the same order.
    EXPECT_GE(double(e["full_latency_us"]), from.empty() ? 0 : before * (1 - 1e-12));
    EXPECT_GT(double(e["full_latency_us"]), 0);
    EXPECT_EQ(e["latency"]["source"], from.empty() ? "measured" : table);
    EXPECT_EQ(e["latency"]["threads"], 1);
    if (from.empty()) continue;
    EXPECT_NEAR(double(e["latency_us"]), std::stod(last_row[6]), 0.006);
  }
  expect_failure(eval + " --latency-table " + dir / "none.tsv", 3, "none.tsv");

  // A target in us: the most accurate network that keeps it, with the thresholds that tune finds for it.
  const std::vector<Row> rows = front_of(whole);
  const double target = std::stod(rows[rows.size() / 2][6]) + 0.01;
  const std::string aimed = dir / "aimed", at = " --target-latency-us " + std::to_string(target);
  const Ran chose = offramp_run("search -q --json --out " + aimed + with + at);
  ASSERT_EQ(chose.code, 0) << chose.err;
  std::string best;
  double best_accuracy = -1;
  for (const Row& row : front_of(aimed))
    if (std::stod(row[6]) <= target && std::stod(row[1]) > best_accuracy)
      best = row[0], best_accuracy = std::stod(row[1]);
  EXPECT_EQ(std::to_string(i64(chose.json()["chosen"])), best);
  const nlohmann::json tuned =
      offramp_run("tune --json --model " + aimed + "/chosen.safetensors --out " + dir / "t.safetensors" +
                  " --tolerance 0.002 --latency-table " + table + " --target-us " + std::to_string(target))
          .json();
  EXPECT_NEAR(double(tuned["accuracy"]), best_accuracy, 1e-6);
  const nlohmann::json run = offramp_run("compare --json " + aimed).json()["runs"][0];
  EXPECT_EQ(run["objectives"], nlohmann::json({"error", "latency"}));
  const nlohmann::json newest = run["generations"].back();
  const nlohmann::json why = offramp_run("why --json " + aimed + " " + newest["best_id"].dump()).json();
  EXPECT_DOUBLE_EQ(double(why["accuracy_tune"]), double(newest["best_at_target"]));
  EXPECT_LE(double(why["latency_us"]), target);
  expect_failure("search -q --out " + dir / "never" + with + " --target-latency-us 0.001", 4, "0.0 us");
  expect_failure("search -q --out " + dir / "both" + with + at + " --target-macs 1M", 2, "exclude");

  // MACs as objective, latency as a column: the same networks have the same latency.
  const std::string macs = dir / "macs";
  ASSERT_EQ(offramp_run("search -q --latency-table " + table + " --out " + macs + kQuick).code, 0);
  for (const Row& row : front_of(macs)) EXPECT_GT(std::stod(row[6]), 0);
}

TEST(SearchLatency, NoNetworkOfTheFrontBreaksALimit) {
  const TempDir dir;
  const std::string free = dir / "free", held = dir / "held";
  ASSERT_EQ(offramp_run("search -q --objective latency --out " + free + kQuick).code, 0);
  const std::string table = free + "/latency.tsv";
  double us = HUGE_VAL;
  i64 macs = INT64_MAX;
  for (const Row& row : front_of(free)) {
    us = std::min(us, 3 * std::stod(row[6]));
    macs = std::min<i64>(macs, std::stoll(row[4]) * 5 / 4);
  }
  const Ran ran = offramp_run("search -q --objective latency --latency-table " + table + " --max-macs " +
                              std::to_string(macs) + " --max-latency-us " + std::to_string(us) +
                              " --max-params 10M --max-memory 64M --out " + held + kQuick);
  ASSERT_EQ(ran.code, 0) << ran.err;
  for (const Row& row : front_of(held)) {
    EXPECT_LE(std::stoll(row[4]), macs);
    EXPECT_LE(std::stod(row[6]), us);
    EXPECT_LE(std::stoll(row[5]), 10000000);
    const Ran profile = offramp_run("profile --json --model " + held + "/models/" + row[0] + ".safetensors");
    EXPECT_LE(profile.json()["memory_bytes"]["peak"], 64000000);
  }
  i64 broken = 0;  // the limits did cut something off
  for (const auto& c : nas::Store::open(held + "/archive.sqlite", nas::Store::Access::read).candidates())
    broken += c.violation > 0;
  EXPECT_GT(broken, 0);
  EXPECT_NE(slurp(held + "/run.toml").find("memory = 64000000"), std::string::npos);

  // Nothing is small enough: exit 4 with the nearest, and again whenever it is asked.
  for (const std::string limit :
       {"--max-macs 10", "--max-params 10", "--max-memory 10", "--max-latency-us 0.01", "--max-avg-macs 10",
        "--max-avg-latency-us 0.01"}) {
    const std::string none = dir / "none";
    const Ran failed =
        offramp_run("search -q --force --latency-table " + table + " " + limit + " --out " + none + kQuick);
    EXPECT_EQ(failed.code, 4) << limit << failed.err;
    EXPECT_NE(failed.err.find("nearest"), std::string::npos) << failed.err;
    EXPECT_EQ(offramp_run("resume -q " + none).code, 4);
    EXPECT_EQ(rows_of(slurp(none + "/front.csv"), ',').size(), 1u);
  }
  expect_failure("search --data synthetic --max-latency-us=-1 --out " + dir / "bad", 2, "limits.latency_us");
}

TEST(SearchLatency, ForAnotherMachine) {
  const TempDir dir;
  const std::string here = dir / "here", there = dir / "there";
  ASSERT_EQ(offramp_run("search -q --objective latency --out " + here + kQuick).code, 0);
  const std::string text = slurp(here + "/latency.tsv");
  const std::string cpu = "cpu\t" + rows_of(text, '\t')[1][1];
  ASSERT_EQ(cpu, "cpu\t" + rows_of(text, '\t').at(1).at(1));

  // A whole table of another CPU serves as well: nothing is measured for it here.
  const std::string foreign = dir.write("foreign.tsv", replaced(text, cpu, "cpu\tanother"));
  const std::string with = " --objective latency --latency-table ";
  ASSERT_EQ(offramp_run("search -q --out " + there + with + foreign + kQuick).code, 0);
  EXPECT_EQ(slurp(there + "/front.csv"), slurp(here + "/front.csv"));

  // One without a call: named in missing_keys.txt, exit 3.
  const std::size_t at = text.find("\nkey\t"), end = text.find('\n', at + 1);
  std::string lacking = slurp(foreign);
  const std::size_t foreign_at = lacking.find("\nkey\t");
  lacking.erase(foreign_at, end - at);
  const std::size_t count = lacking.rfind("end\t");
  lacking =
      lacking.substr(0, count) + "end\t" + std::to_string(std::stoi(lacking.substr(count + 4)) - 1) + "\n";
  const std::string part = dir.write("part.tsv", lacking), stuck = dir / "stuck";
  const Ran stopped = offramp_run("search -q --out " + stuck + with + part + kQuick);
  EXPECT_EQ(stopped.code, 3) << stopped.err;
  EXPECT_NE(stopped.err.find("missing_keys.txt"), std::string::npos) << stopped.err;
  const std::string missing = slurp(stuck + "/missing_keys.txt");
  const std::string key = rows_of(text.substr(at + 1, end - at), '\t')[0][1];
  EXPECT_NE(missing.find(key), std::string::npos) << missing;

  // Measured where the table belongs, carried back, resumed.
  const std::string own = dir / "own.tsv";
  const Ran timed = offramp_run("measure -q --each 1 --keys " + stuck + "/missing_keys.txt --out " + own);
  ASSERT_EQ(timed.code, 0) << timed.err;
  EXPECT_NE(slurp(own).find("key\t" + key + "\t"), std::string::npos);
  expect_failure("resume -q " + stuck + " --latency-table " + own, 3, "another machine");
  const std::string carried = dir.write("carried.tsv", replaced(slurp(own), cpu, "cpu\tanother"));
  const Ran rest = offramp_run("resume -q " + stuck + " --latency-table " + carried);
  EXPECT_EQ(rest.code, 0) << rest.err;
  EXPECT_FALSE(fs::exists(stuck + "/missing_keys.txt"));

  // Other kernels: refused before anything is made.
  const std::string print = rows_of(text, '\t')[4][1];
  const std::string old = dir.write("old.tsv", replaced(text, print, "0000000000000000"));
  expect_failure("search -q --out " + dir / "refused" + with + old + kQuick, 3, "other kernels");
  EXPECT_FALSE(fs::exists(dir / "refused"));
}

}  // namespace
}  // namespace offramp::testing
