// offramp train: one architecture from random weights
#include <nlohmann/json.hpp>

#include "data/catalog.h"
#include "kernels/exec.h"
#include "nas/cli/build_info.h"
#include "nas/cli/context.h"
#include "nas/cli/data_dirs.h"
#include "nas/cli/files.h"
#include "nas/cli/verb.h"
#include "nas/search/candidate_evaluator.h"
#include "nas/seeds.h"
#include "nn/record.h"

namespace offramp::cli {

void run_train(Console& console, const Words& words) {
  nas::SearchConfig config;
  std::string data, space_name, genotype_text, out, config_file, dir, device = "cpu", precision;
  std::optional<i64> target, epochs, batch;
  std::vector<std::string> sets;
  u64 seed = config.seed;
  int threads = 0;
  Args args(console, "train",
            "train one architecture from random weights, tune its thresholds, write a model",
            {"offramp train --data fashion-mnist --space small --genotype \"$(offramp space sample small)\" "
             "--epochs 5 --out m.safetensors"});
  args.option("--data D", data, "data set, default " + config.data)
      .option("--space S", space_name, "search space, default " + config.space)
      .option("--genotype G", genotype_text, "comma-separated genes; every exit off: a static network")
      .option("--epochs N", epochs, "default " + std::to_string(config.train.epochs))
      .option("--batch B", batch, "default " + std::to_string(config.train.batch), 2, 65536)
      .option("--target-macs X", target, "thresholds for X average MACs per image")
      .option("--out FILE", out, "model file to write")
      .option("--config FILE", config_file, "TOML configuration")
      .repeated("--set K=V", sets, "one configuration key, e.g. train.lr=0.05")
      .seed(seed)
      .threads(threads)
      .device(device, precision, "bf16")
      .data_dir(dir)
      .required("--genotype")
      .required("--out");
  if (!args.parse(words)) return;
  if (!config_file.empty()) nas::read_config(config, config_file);
  for (const std::string& s : sets) nas::set_assignment(config, s);
  if (args.given("--data")) config.data = data;
  if (args.given("--space")) config.space = space_name;
  if (args.given("--seed")) config.seed = seed;
  if (epochs) config.train.epochs = *epochs;
  if (batch) config.train.batch = *batch;
  if (target) config.target_macs = *target;

  if (config.train.teacher == "supernet")
    throw usage_error("train.teacher=supernet: there is no supernet where one network is trained");

  const nas::Space space = nas::Space::load(config.space);
  nas::require_consistent(config, space);
  const nas::Genotype genotype = space.canonical(space.from_text(genotype_text));
  require_writable(out);
  const u64 split_seed = nas::stream_seed(config.seed, "split");
  const data::Splits splits = data::load(config.data, {.dirs = data_dirs(dir),
                                                       .seed = split_seed,
                                                       .train_samples = config.train.samples,
                                                       .tune_samples = config.tune.samples,
                                                       .want_test = false});
  const data::Normalisation normalisation = data::channel_statistics(splits.train);
  const data::Dataset& train = splits.train;
  Exec exec = make_exec(device, precision, threads);
  const nas::Watch watch = console.watch();
  console.note("seed " + std::to_string(config.seed) + ", target " + std::string(target_name(exec.target())) +
               ", threads " + std::to_string(exec.threads()));

  nn::FreshParameters fresh{Rng(nas::stream_seed(config.seed, "init"))};
  nn::ParametersOn source(memory_of(exec), fresh);
  nn::EarlyExitNetwork network(space.decode(genotype, nas::task_of(train)), source);
  const nas::TrainingData training{train, normalisation};
  if (const nas::Regime regime = nas::train_regime(config); regime.trains())
    nas::train_network(exec, network, training, config, regime, nas::stream_seed(config.seed, "training"),
                       "train", watch);
  nas::recalibrate(exec, network, training, config.final.recalibrate, config.train.batch);
  const nas::ScoredNetwork scored =
      nas::score_plan(exec, std::make_shared<const nn::Plan>(nn::deployable(network)), splits.tune,
                      normalisation, nas::tuning_of(config), watch);
  nn::save_model(out,
                 nas::model_of(scored, config, space.name(), genotype, splits, normalisation, build_name()));
  console.end_progress();
  if (console.options.json)
    return console.print_json({{"model", out},
                               {"seed", config.seed},
                               {"genotype", genotype},
                               {"accuracy_tune", scored.accuracy()},
                               {"avg_macs", scored.average_macs()},
                               {"full_macs", scored.full_macs()},
                               {"params", scored.plan->params()}});
  console.print("tune accuracy " + format_percent(scored.accuracy()) + " at " +
                format_count(i64(scored.average_macs())) + " average MACs of " +
                format_count(scored.full_macs()) + ", " + format_count(scored.plan->params()) +
                " parameters\nmodel " + out + "\n");
}

}  // namespace offramp::cli
