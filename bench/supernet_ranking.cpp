// Does the supernet rank networks as training does? Random genotypes of a space, each scored on the tune
// split twice: with weights inherited from one trained supernet, and trained from scratch for as many epochs.
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "bench/bench_main.h"
#include "data/catalog.h"
#include "kernels/timing.h"
#include "nas/cli/args.h"
#include "nas/cli/data_dirs.h"
#include "nas/search/candidate_evaluator.h"
#include "nas/seeds.h"
#include "nas/surrogate/kendall.h"
#include "nn/record.h"
#include "tensor/file.h"
#include "tensor/safetensors.h"

namespace offramp::bench {
namespace {

using namespace nas;

struct Options {
  SearchConfig config;
  i64 genotypes = 24, epochs = 3, supernet_epochs = 0, scratch_runs = 1;
  int threads = 1;
  std::string out, data_dir;
};

// Accuracies on the tune split: as the search scores a candidate (thresholds tuned), and with every exit
// passed.
struct Score {
  double tuned = 0, final_exit = 0;
};

Score score_of(const ScoredNetwork& scored) {
  i64 correct = 0;
  for (i64 s = 0; s < scored.table.samples; ++s) correct += scored.table.correct(s, scored.table.exits - 1);
  return {scored.accuracy(), double(correct) / double(scored.table.samples)};
}

// What was done already: DIR/supernet.safetensors, and a line "inherited|scratch GENOTYPE TUNED FINAL" for
// each score in DIR/scores.txt, below a first line with the settings.
class Ledger {
 public:
  Ledger(std::string dir, const std::string& settings) : dir_(std::move(dir)) {
    if (dir_.empty()) return;
    std::filesystem::create_directories(dir_);
    text_ = settings + "\n";
    if (!std::filesystem::exists(scores())) {
      write_file_atomically(scores(), text_);
      return;
    }
    const std::string found = read_file(scores(), i64{1} << 24);
    if (found.rfind(text_, 0) != 0)
      throw usage_error(dir_ + ": holds a run with other settings; choose another --out or remove it");
    text_ = found;
    for (std::size_t at = settings.size() + 1, end; (end = text_.find('\n', at)) != std::string::npos;
         at = end + 1) {
      char kind[16], genotype[4096];
      Score score;
      if (std::sscanf(text_.substr(at, end - at).c_str(), "%15s %4095s %la %la", kind, genotype, &score.tuned,
                      &score.final_exit) != 4)
        throw input_error(scores() + ": damaged line '" + text_.substr(at, end - at) + "'");
      known_[std::string(kind) + " " + genotype] = score;
    }
  }

  std::string supernet() const { return dir_.empty() ? "" : dir_ + "/supernet.safetensors"; }
  std::string unfinished_supernet() const { return dir_.empty() ? "" : dir_ + "/supernet.unfinished"; }

  template <class Compute>
  Score once(const std::string& kind, const std::string& genotype, Compute&& compute) {
    const std::string key = kind + " " + genotype;
    if (const auto found = known_.find(key); found != known_.end()) return found->second;
    const Score score = compute();
    if (!dir_.empty()) {
      char figures[64];
      std::snprintf(figures, sizeof figures, " %a %a\n", score.tuned, score.final_exit);
      write_file_atomically(scores(), text_ += key + figures);
    }
    return known_[key] = score;
  }

 private:
  std::string scores() const { return dir_ + "/scores.txt"; }
  std::string dir_, text_;
  std::map<std::string, Score> known_;
};

bool parse(cli::Console& console, const cli::Words& words, Options& o) {
  // As the demo trains its supernet: a few epochs, so no augmentation and large steps.
  o.config.train.augment = false;
  o.config.supernet.lr = o.config.train.lr = 0.2;
  std::vector<std::string> sets;
  cli::Args args(
      console, "supernet_ranking",
      "Kendall's tau between inherited accuracy and accuracy after training from scratch",
      {"supernet_ranking --out build/ranking", "supernet_ranking --data synthetic --genotypes 8 --json"});
  args.program("")
      .option("--data NAME", o.config.data, "data set (default fashion-mnist)")
      .option("--space SPACE", o.config.space, "search space (default small)")
      .option("--genotypes N", o.genotypes, "random genotypes (default 24)", 2, 10000)
      .option("--epochs E", o.epochs, "epochs from scratch, and of the supernet (default 3)", 1, 10000)
      .option("--supernet-epochs E", o.supernet_epochs, "epochs of the supernet, if not the same", 1, 10000)
      .option("--scratch-runs N", o.scratch_runs,
              "trainings from scratch of each network, whose mean is taken (default 1)", 1, 100)
      .option("--train-samples N", o.config.train.samples, "training images (default 0: all)")
      .option("--tune-samples N", o.config.tune.samples, "images both are scored on (default 0: all)")
      .option("--batch N", o.config.train.batch, "images of a step (default 128)", 1, 65536)
      .repeated("--set K=V", sets, "one configuration key, e.g. train.augment=false")
      .option("--out DIR", o.out, "keep what is done here; the same command goes on after an interruption")
      .data_dir(o.data_dir)
      .seed(o.config.seed)
      .threads(o.threads)
      .notes(
          "Both scores are accuracies on the tune split, normalisation re-estimated on the same images. "
          "Inherited:\n"
          "weights cut out of the supernet, nothing trained further. tuned = exit thresholds tuned, as the "
          "search\n"
          "scores a candidate; final = every sample runs to the last exit. tau is tau-b: 1 = the same order, "
          "0 = no\n"
          "relation. Progress and an estimate of the time left are on stderr.\n");
  if (!args.parse(words)) return false;
  for (const std::string& s : sets) set_assignment(o.config, s);
  if (o.supernet_epochs == 0) o.supernet_epochs = o.epochs;
  o.config.supernet.epochs = o.supernet_epochs;
  return true;
}

std::vector<Genotype> draw(const Space& space, i64 count, u64 seed) {
  const Rng rng(stream_seed(seed, "ranking"));
  std::vector<Genotype> genotypes;
  std::set<Genotype> seen;
  for (u64 i = 0; i64(genotypes.size()) < count; ++i) {
    if (i > u64(100 * count + 1000))
      throw usage_error("the space has fewer than --genotypes different networks");
    Rng stream = rng.derive(i);
    if (const Genotype g = space.sample(stream); seen.insert(g).second) genotypes.push_back(g);
  }
  return genotypes;
}

int run(cli::Console& console, const cli::Words& words) {
  Options o;
  if (!parse(console, words, o)) return 0;
  const Watch watch = console.watch();
  Watch quiet = watch;  // a bar of their own would hide that of the genotypes
  quiet.on_progress = nullptr;

  const Space space = Space::load(o.config.space);
  Ledger done(o.out, "genotypes " + std::to_string(o.genotypes) + ", scratch epochs " +
                         std::to_string(o.epochs) + ", " + nlohmann::json(to_toml(o.config)).dump());
  const data::Splits splits = data::load(o.config.data, {.dirs = cli::data_dirs(o.data_dir),
                                                         .seed = stream_seed(o.config.seed, "split"),
                                                         .train_samples = o.config.train.samples,
                                                         .tune_samples = o.config.tune.samples,
                                                         .want_test = false});
  const data::Normalisation normalisation = data::channel_statistics(splits.train);
  const TrainingData training{splits.train, normalisation};
  const Task task = task_of(splits.train);
  Exec exec(default_target(), o.threads);
  Supernet supernet(space, task, Rng(stream_seed(o.config.seed, "init")));
  const CandidateEvaluator evaluator(exec, space, &supernet, splits, normalisation, o.config);

  double start = now_seconds();
  if (!o.out.empty() && std::filesystem::exists(done.supernet())) {
    nn::restore_tensors(supernet.state(), read_safetensors(done.supernet()).tensors);
  } else {
    train_supernet(exec, supernet, training, o.config, watch, done.unfinished_supernet());
    if (!o.out.empty()) {
      write_safetensors(done.supernet(), {supernet.state(), {}});
      std::filesystem::remove(done.unfinished_supernet());
    }
    console.note("supernet: " + std::to_string(o.supernet_epochs) + " epochs on " +
                 std::to_string(splits.train.size()) + " images in " +
                 cli::format_seconds(now_seconds() - start));
  }

  const std::vector<Genotype> genotypes = draw(space, o.genotypes, o.config.seed);
  std::vector<double> inherited[2], scratch[2];                   // tuned, final exit
  std::vector<std::vector<double>> runs(size_t(o.scratch_runs));  // tuned, of each training
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  std::vector<std::vector<std::string>> table{
      {"", "inherited tuned", "scratch tuned", "inherited final", "scratch final", "genotype"}};
  start = now_seconds();
  for (std::size_t i = 0; i < genotypes.size(); ++i) {
    const std::string text = to_text(genotypes[i]);
    watch.check();
    const Score a = done.once("inherited", text, [&] {
      return score_of(evaluator.score(genotypes[i], CandidateEvaluator::Purpose::candidate, "", quiet));
    });
    Score b;
    for (i64 r = 0; r < o.scratch_runs; ++r) {
      // The first run's names are those of a single one.
      const std::string again = r ? std::to_string(r + 1) : "";
      const Score one = done.once("scratch" + again, text, [&] {
        nn::FreshParameters fresh{Rng(stream_seed(o.config.seed, "scratch" + again + " " + text))};
        nn::EarlyExitNetwork network(space.decode(genotypes[i], task), fresh);
        Regime regime = train_regime(o.config);
        regime.epochs = o.epochs;
        train_network(exec, network, training, o.config, regime,
                      stream_seed(o.config.seed, "training" + again + " " + text),
                      "scratch " + std::to_string(i + 1), watch);
        recalibrate(exec, network, training, o.config.candidate.recalibrate, o.config.train.batch);
        return score_of(score_plan(exec, std::make_shared<const nn::Plan>(nn::deployable(network)),
                                   splits.tune, normalisation, tuning_of(o.config), quiet));
      });
      b.tuned += one.tuned / double(o.scratch_runs);
      b.final_exit += one.final_exit / double(o.scratch_runs);
      runs[size_t(r)].push_back(one.tuned);
    }
    inherited[0].push_back(a.tuned), inherited[1].push_back(a.final_exit);
    scratch[0].push_back(b.tuned), scratch[1].push_back(b.final_exit);
    const double each = (now_seconds() - start) / double(i + 1);
    console.note(std::to_string(i + 1) + "/" + std::to_string(genotypes.size()) + ": inherited " +
                 cli::format_percent(a.tuned) + ", from scratch " + cli::format_percent(b.tuned) + "; " +
                 cli::format_seconds(each) + " each, " +
                 cli::format_seconds(each * double(genotypes.size() - i - 1)) + " left");
    table.push_back({std::to_string(i + 1), cli::format_percent(a.tuned), cli::format_percent(b.tuned),
                     cli::format_percent(a.final_exit), cli::format_percent(b.final_exit), text});
    list.push_back({{"genotype", genotypes[i]},
                    {"inherited", {{"tuned", a.tuned}, {"final", a.final_exit}}},
                    {"scratch", {{"tuned", b.tuned}, {"final", b.final_exit}}}});
  }
  console.end_progress();

  // No supernet can agree better with a training than trainings do among themselves.
  double ceiling = 0;
  i64 pairs_of_runs = 0;
  for (std::size_t a = 0; a < runs.size(); ++a)
    for (std::size_t b = a + 1; b < runs.size(); ++b, ++pairs_of_runs)
      ceiling += rank_agreement(runs[a], runs[b]).tau();
  if (pairs_of_runs) ceiling /= double(pairs_of_runs);
  const Agreement tuned = rank_agreement(inherited[0], scratch[0]);
  const Agreement final_exit = rank_agreement(inherited[1], scratch[1]);
  const auto number = [](double tau) { return std::isfinite(tau) ? nlohmann::json(tau) : nlohmann::json(); };
  if (console.options.json) {
    console.print_json({{"data", o.config.data},
                        {"space", space.name()},
                        {"seed", o.config.seed},
                        {"epochs", o.epochs},
                        {"supernet_epochs", o.supernet_epochs},
                        {"train_samples", splits.train.size()},
                        {"tune_samples", splits.tune.size()},
                        {"tau", number(tuned.tau())},
                        {"tau_final", number(final_exit.tau())},
                        {"scratch_runs", o.scratch_runs},
                        {"tau_between_runs", pairs_of_runs ? number(ceiling) : nlohmann::json()},
                        {"agree", tuned.agree},
                        {"disagree", tuned.disagree},
                        {"pairs", tuned.pairs},
                        {"networks", list}});
    return 0;
  }
  console.print(cli::table(table));
  char line[400];
  std::snprintf(line, sizeof line,
                "Kendall tau-b %.3f (tuned), %.3f (final exit) over %zu networks.\n"
                "Of %lld pairs the supernet orders %lld as training from scratch does and %lld the other way "
                "round; %lld are tied.\n",
                tuned.tau(), final_exit.tau(), genotypes.size(), (long long)tuned.pairs,
                (long long)tuned.agree, (long long)tuned.disagree,
                (long long)(tuned.pairs - tuned.agree - tuned.disagree));
  console.print(line);
  if (pairs_of_runs) {
    std::snprintf(line, sizeof line,
                  "Trainings from scratch among themselves: %.3f (tuned, one against another).\n", ceiling);
    console.print(line);
  }
  return 0;
}

}  // namespace
}  // namespace offramp::bench

int main(int argc, char** argv) {
  return offramp::bench::guarded_main("supernet_ranking", [&](offramp::cli::Console& console) {
    return offramp::bench::run(console, {argv + 1, argv + argc});
  });
}
