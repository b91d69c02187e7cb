// Does a latency table tell the latency of networks that it was not measured in? Random genotypes of a space,
// end to end at batch 1, measured fresh in interleaved visits beside a fixed reference network, against the
// table's prediction, the repeatability of the measurement itself, and MACs as a predictor.
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "bench/bench_main.h"
#include "bench/spearman.h"
#include "kernels/timing.h"
#include "nas/cli/args.h"
#include "nas/latency/cells.h"
#include "nas/latency/measure.h"
#include "nas/latency/missing.h"
#include "nas/latency/predict.h"
#include "nas/seeds.h"
#include "tensor/file.h"

namespace offramp::bench {
namespace {

using namespace nas;

struct Options {
  std::string space = "cifar", table = "latency.tsv", out;
  i64 networks = 200, visits = 5, sessions = 4;
  u64 seed = 1;
  double seconds = 40;
};

bool parse(cli::Console& console, const cli::Words& words, Options& o) {
  cli::Args args(console, "latency_model_bench",
                 "predicted against measured latency of networks that the table was not measured in",
                 {"offramp measure --space cifar --out latency.tsv",
                  "latency_model_bench --space cifar --table latency.tsv --out build/latency_cifar"});
  args.program("")
      .option("--space S", o.space, "default cifar")
      .option("--table FILE", o.table, "latency table of this machine, default latency.tsv")
      .option("--networks N", o.networks, "random genotypes, default 200", 4, 100000)
      .option("--out DIR", o.out, "keeps what was timed; the same command adds to it")
      .option("--seconds T", o.seconds,
              "time for measuring in this call, default 40; 0: print what DIR holds")
      .option("--sessions N", o.sessions, "of each network in all, default 4", 1, 1000)
      .option("--visits N", o.visits, "of each network in a session, default 5", 2, 1000)
      .seed(o.seed)
      .required("--out")
      .notes(
          "Errors are |predicted / measured - 1|. Measured: the median over all visits. Drift between the "
          "day\n"
          "of the table and today is cancelled with the space's reference network, which both timed.\n");
  return args.parse(words);
}

// Random genotypes that are in none of the table's runs.
std::vector<Genotype> draw(const Space& space, const LatencyTable& table, const Options& o) {
  std::set<Genotype> taken{reference_genotype(space)};
  for (const TimedRun& run : table.runs())
    if (run.space == space.name()) taken.insert(run.genotype);
  const Rng rng(stream_seed(o.seed, "latency bench"));
  std::vector<Genotype> genotypes;
  for (u64 i = 0; i64(genotypes.size()) < o.networks; ++i) {
    if (i > u64(100 * o.networks)) throw usage_error("the space has fewer than --networks other networks");
    Rng stream = rng.derive(i);
    if (const Genotype g = space.sample(stream); taken.insert(g).second) genotypes.push_back(g);
  }
  return genotypes;
}

// Sessions as DIR/truth.tsv keeps them: a line "reference SESSION us", a line "SESSION GENOTYPE us,us,..."
// for every network of it.
class Truth {
 public:
  Truth(std::string dir, const std::string& settings) : path_(dir + "/truth.tsv"), text_(settings + "\n") {
    std::error_code error;
    std::filesystem::create_directories(dir, error);
    if (!std::filesystem::exists(path_)) return;
    const std::string found = read_file(path_, i64{1} << 28);
    if (found.rfind(text_, 0) != 0)
      throw usage_error(path_ + ": of other settings or kernels; choose another --out or remove it");
    for (std::string_view line : split_cells(std::string_view(found).substr(text_.size()), '\n'))
      if (!line.empty()) read(line);
    text_ = found;
  }

  i64 sessions_of(const Genotype& g) const {
    const auto found = sessions_.find(to_text(g));
    return found == sessions_.end() ? 0 : i64(found->second.size());
  }

  void add(const std::vector<Genotype>& group, const SessionTimes& times) {
    const std::size_t id = references_.size();
    std::vector<std::string> lines{line_of(id, "reference", {times.reference_us})};
    for (std::size_t i = 0; i < group.size(); ++i)
      lines.push_back(line_of(id, to_text(group[i]), times.networks[i].whole));
    for (const std::string& line : lines) {
      read(line);
      text_ += line + "\n";
    }
    write_file_atomically(path_, text_);
  }

  double reference_us() const { return LatencyEntry{references_}.median_us(); }
  std::size_t count() const { return references_.size(); }

  // Visits of a network in all sessions; those of a session share the drift of its reference, which is taken
  // out.
  std::vector<double> visits(const Genotype& g) const {
    std::vector<double> all;
    const auto found = sessions_.find(to_text(g));
    if (found == sessions_.end()) return all;
    for (const auto& [id, us] : found->second)
      for (double v : us) all.push_back(v * reference_us() / references_[id]);
    return all;
  }

 private:
  static std::string line_of(std::size_t id, const std::string& what, const std::vector<double>& us) {
    std::string line = std::to_string(id) + "\t" + what + "\t";
    for (std::size_t i = 0; i < us.size(); ++i) {
      char text[32];
      std::snprintf(text, sizeof text, "%s%.6g", i ? "," : "", us[i]);
      line += text;
    }
    return line;
  }
  void read(std::string_view line) {
    const std::vector<std::string_view> cells = split_cells(line, '\t');
    if (cells.size() != 3)
      throw input_error(path_ + ": damaged line '" + std::string(line.substr(0, 40)) + "'");
    const std::size_t id = std::size_t(cell_count(cells[0], 0, 1 << 20));
    std::vector<double> us;
    for (std::string_view v : split_cells(cells[2], ',')) us.push_back(cell_time(v));
    if (cells[1] == "reference") {
      if (id != references_.size())
        throw input_error(path_ + ": session " + std::to_string(id) + " is misplaced");
      references_.push_back(us[0]);
    } else {
      if (id >= references_.size()) throw input_error(path_ + ": a session without its reference");
      sessions_[std::string(cells[1])].emplace_back(id, us);
    }
  }

  std::string path_, text_;
  std::vector<double> references_;  // us, by session
  std::map<std::string, std::vector<std::pair<std::size_t, std::vector<double>>>> sessions_;
};

// Groups of networks, those with the fewest sessions first, until the time is up or all have enough.
void measure_truth(cli::Console& console, const Options& o, const Space& space, const LatencyTable& table,
                   const std::vector<Genotype>& genotypes, Truth& truth) {
  constexpr i64 kGroup = 64, kGroupBytes = i64{3} << 29;
  const double start = now_seconds();
  Watch watch = console.watch();
  Exec exec(table.machine().target, table.machine().threads);
  TimedNetwork reference(plan_of(space, reference_genotype(space), {}, true), exec.target());
  double last = 0;  // seconds of a session
  while (now_seconds() - start + last < o.seconds) {
    const double began = now_seconds();
    std::vector<Genotype> group = genotypes;
    std::erase_if(group, [&](const Genotype& g) { return truth.sessions_of(g) >= o.sessions; });
    if (group.empty()) return;
    std::stable_sort(group.begin(), group.end(), [&](const Genotype& a, const Genotype& b) {
      return truth.sessions_of(a) < truth.sessions_of(b);
    });
    std::vector<std::unique_ptr<TimedNetwork>> networks;
    i64 bytes = 0;
    for (std::size_t i = 0; i < group.size() && i64(i) < kGroup && bytes < kGroupBytes; ++i) {
      networks.push_back(std::make_unique<TimedNetwork>(plan_of(space, group[i], {}, true), exec.target()));
      bytes += networks.back()->bytes();
    }
    group.resize(networks.size());
    truth.add(group, time_session(exec, networks, reference, {.visits = o.visits}, false, watch));
    last = now_seconds() - began;
    i64 done = 0;
    for (const Genotype& g : genotypes) done += std::min(truth.sessions_of(g), o.sessions);
    watch.progress(
        {.phase = "measure", .done = done, .total = o.sessions * i64(genotypes.size()), .unit = "session"});
  }
  console.end_progress();
}

struct Score {
  std::string predictor;
  double median, p95, spearman, bias;
};

Score score(const std::string& name, std::span<const double> predicted, std::span<const double> measured) {
  LatencyEntry errors, signed_errors;
  for (std::size_t i = 0; i < predicted.size(); ++i) {
    signed_errors.observed.push_back(predicted[i] / measured[i] - 1);
    errors.observed.push_back(std::abs(signed_errors.observed.back()));
  }
  return {name, errors.median_us(), errors.quantile_us(0.95), spearman(predicted, measured),
          signed_errors.median_us()};
}

int run(cli::Console& console, const cli::Words& words) {
  Options o;
  if (!parse(console, words, o)) return 0;
  const Space space = Space::load(o.space);
  const LatencyTable table = LatencyTable::load(o.table);
  require_current(table, o.table);
  if (!measurable_here(table)) throw usage_error(o.table + " is the table of another machine");
  const double table_reference = table.reference_us(space.name());
  if (table_reference <= 0) throw usage_error(o.table + ": was not measured on space " + space.name());

  const std::vector<Genotype> genotypes = draw(space, table, o);
  std::vector<std::shared_ptr<const nn::Plan>> plans;
  std::vector<MissingKey> missing;
  i64 lacking = 0;
  for (const Genotype& g : genotypes) {
    plans.push_back(plan_of(space, g, {}, false));
    const auto keys = missing_keys(table, *plans.back());
    lacking += !keys.empty();
    for (const auto& key : keys) missing.push_back({key, o.space, {}, g});
  }
  Truth truth(o.out, "latency truth of " + space.name() + ", " + std::string(kernel_fingerprint()) +
                         ", seed " + std::to_string(o.seed));
  if (!missing.empty()) {
    const std::string path = o.out + "/missing_keys.txt";
    write_file_atomically(path, missing_text(missing));
    throw input_error(std::to_string(lacking) + " networks have calls that " + o.table +
                      " lacks; time them in other networks with: offramp measure --keys " + path + " --out " +
                      o.table);
  }
  measure_truth(console, o, space, table, genotypes, truth);

  std::vector<double> measured, predicted, even, odd, macs;
  i64 fewest = o.sessions;
  for (std::size_t i = 0; i < genotypes.size(); ++i) {
    const std::vector<double> visits = truth.visits(genotypes[i]);
    fewest = std::min(fewest, truth.sessions_of(genotypes[i]));
    if (visits.size() < 2) continue;
    LatencyEntry halves[2];
    for (std::size_t v = 0; v < visits.size(); ++v) halves[v % 2].observed.push_back(visits[v]);
    even.push_back(halves[0].median_us());
    odd.push_back(halves[1].median_us());
    measured.push_back(LatencyEntry{visits}.median_us());
    predicted.push_back(full_us(predict(table, *plans[i])) * truth.reference_us() / table_reference);
    macs.push_back(double(nn::exit_costs(*plans[i]).back().leave_macs));
  }
  if (measured.size() < 2) throw Error("nothing was measured yet: give more --seconds");
  LatencyEntry per_mac;
  for (std::size_t i = 0; i < macs.size(); ++i) per_mac.observed.push_back(measured[i] / macs[i]);
  for (double& m : macs) m *= per_mac.median_us();
  const std::vector<Score> scores = {score("latency table", predicted, measured),
                                     score("MACs x one factor, fitted here", macs, measured),
                                     score("the measurement itself, odd against even visits", odd, even)};
  const LatencyEntry all{measured};
  if (console.options.json) {
    nlohmann::ordered_json rows = nlohmann::ordered_json::array(), list = nlohmann::ordered_json::array();
    for (const Score& s : scores)
      rows.push_back({{"predictor", s.predictor},
                      {"median_error", s.median},
                      {"p95_error", s.p95},
                      {"spearman", s.spearman},
                      {"bias", s.bias}});
    for (std::size_t i = 0; i < measured.size(); ++i)
      list.push_back({{"measured_us", measured[i]}, {"predicted_us", predicted[i]}});
    console.print_json({{"space", space.name()},
                        {"networks", measured.size()},
                        {"sessions", fewest},
                        {"batch", 1},
                        {"threads", table.machine().threads},
                        {"drift", truth.reference_us() / table_reference},
                        {"rows", rows},
                        {"points", list}});
    return 0;
  }
  std::vector<std::vector<std::string>> rows{{"predictor", "median error", "p95", "Spearman", "bias"}};
  for (const Score& s : scores) {
    char rank[32];
    std::snprintf(rank, sizeof rank, "%.4f", s.spearman);
    rows.push_back({s.predictor, cli::format_percent(s.median), cli::format_percent(s.p95), rank,
                    cli::format_percent(s.bias)});
  }
  char head[400];
  std::snprintf(
      head, sizeof head,
      "%zu random networks of %s, batch 1, %d thread(s), %s: %.0f to %.0f us, at least %lld of %lld sessions "
      "each\nnone of them among the %zu networks behind the table; reference network %.1f us now, %.1f "
      "then\n",
      measured.size(), space.name().c_str(), table.machine().threads,
      std::string(target_name(table.machine().target)).c_str(), all.quantile_us(0), all.quantile_us(1),
      static_cast<long long>(fewest), static_cast<long long>(o.sessions), table.runs().size(),
      truth.reference_us(), table_reference);
  console.print(head + cli::table(rows));
  if (fewest < o.sessions) console.note("not all sessions are done: the same command goes on");
  return 0;
}

}  // namespace
}  // namespace offramp::bench

int main(int argc, char** argv) {
  return offramp::bench::guarded_main("latency_model_bench", [&](offramp::cli::Console& console) {
    return offramp::bench::run(console, {argv + 1, argv + argc});
  });
}
