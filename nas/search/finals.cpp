#include "nas/search/finals.h"

#include <filesystem>

#include "data/device_loader.h"
#include "kernels/error.h"
#include "nas/evaluate/evaluate.h"
#include "nas/study/curves.h"
#include "nas/train/parts.h"

namespace offramp::nas {
namespace {

namespace fs = std::filesystem;

constexpr i64 kTestBatch = 128;

std::string percent(double share) {
  char text[16];
  std::snprintf(text, sizeof text, "%.2f %%", 100 * share);
  return text;
}
std::string millions(double macs) {
  char text[24];
  std::snprintf(text, sizeof text, "%.3fM", macs / 1e6);
  return text;
}

// Kept exactly: hexadecimal floats.
std::string final_figures(const ScoredNetwork& scored, double accuracy_test, double latency_us) {
  char text[160];
  std::snprintf(text, sizeof text, "%a %a %a %a", scored.accuracy(), accuracy_test, scored.average_macs(),
                latency_us);
  return text;
}
void read_figures(const std::string& text, FinalNetwork& network) {
  double latency_us = -1;  // without a table
  if (std::sscanf(text.c_str(), "%la %la %la %la", &network.accuracy_tune, &network.accuracy_test,
                  &network.avg_macs, &latency_us) != 4)
    throw input_error("archive: the figures of network " + std::to_string(network.id) + " are damaged");
  if (latency_us >= 0) network.latency_us = latency_us;
}

}  // namespace

std::vector<FinalNetwork> FinalTraining::train(const std::vector<i64>& ids, const Watch& watch) {
  SearchConfig config = parts_.config;
  config.final.epochs = epochs(ids, watch);
  const CandidateEvaluator trainer(exec_, parts_.space, parts_.supernet, parts_.splits, parts_.normalisation,
                                   config, parts_.latency);
  std::vector<FinalNetwork> networks;
  for (std::size_t i = 0; i < ids.size(); ++i)
    networks.push_back(finished(ids[i], trainer,
                                "final " + std::to_string(i + 1) + "/" + std::to_string(ids.size()), watch));
  return networks;
}

// What the run's training budget leaves, the same number for each network.
i64 FinalTraining::epochs(const std::vector<i64>& ids, const Watch& watch) const {
  if (parts_.config.search.training_macs == 0) return parts_.config.final.epochs;
  const TrainingCost spent = store_.training_cost();
  const i64 batch = parts_.config.train.batch,
            images = std::max<i64>(1, parts_.splits.train.size() / batch) * batch;
  const i64 teacher =
      parts_.config.train.teacher == "supernet"
          ? teaching_macs(parts_.space.decode(parts_.space.max_genotype(), task_of(parts_.splits.train)))
          : 0;
  i64 epoch = 0, left = parts_.config.search.training_macs - spent.supernet - spent.candidates;
  for (i64 id : ids) {
    const nn::Architecture network =
        parts_.space.decode(store_.candidate(id)->genotype, task_of(parts_.splits.train));
    epoch += images * (forward_macs(network) + teacher);
    if (parts_.config.final.backbone_epochs > 0)
      left -= parts_.config.final.backbone_epochs * images * (forward_macs(backbone_of(network)) + teacher);
  }
  const i64 epochs = left > 0 && epoch > 0 ? left / epoch : 0;
  watch.note("final networks: " + std::to_string(epochs) + " epochs each");
  return epochs;
}

// Trained to the end, tuned, evaluated on the test split once; its model file says that this was done.
FinalNetwork FinalTraining::finished(i64 id, const CandidateEvaluator& trainer, const std::string& phase,
                                     const Watch& watch) {
  const CandidateRecord record = *store_.candidate(id);
  FinalNetwork network{.id = id, .genotype = record.genotype, .model = paths_.model(id)};
  const std::string key = meta_of_final(id);
  if (!(fs::exists(network.model) && store_.meta(key))) {
    watch.check();
    make_folder(paths_.work());
    const std::string checkpoint = paths_.work() + "/" + std::to_string(id) + ".safetensors";
    i64 macs = 0;
    const ScoredNetwork scored =
        trainer.score(record.genotype, CandidateEvaluator::Purpose::final, phase, watch, checkpoint, &macs);
    store_.set_training_macs(phase_of_final(id), macs);
    const nn::Model model = model_of(scored, parts_.config, parts_.space.name(), record.genotype,
                                     parts_.splits, parts_.normalisation, parts_.build);
    nn::save_model(network.model, model);
    store_.set_meta(meta_of_curve(id), curve_text(id, model, test_table(scored, watch), scored.costs));
    store_.set_meta(key, final_figures(scored, test_accuracy(scored, watch),
                                       parts_.latency ? expected_latency_us(scored, *parts_.latency) : -1));
    std::error_code ignored;
    fs::remove_all(paths_.work(), ignored);
  }
  read_figures(*store_.meta(key), network);
  const nn::Model model = nn::load_model(network.model);
  network.thresholds = model.thresholds;
  network.full_macs = nn::exit_costs(*model.plan).back().leave_macs;
  network.params = model.plan->params();
  watch.note(phase + ": network " + std::to_string(id) + ", tune " + percent(network.accuracy_tune) +
             ", test " + percent(network.accuracy_test) + " at " + millions(network.avg_macs) +
             " MACs on average");
  return network;
}

std::unique_ptr<data::BatchSource> FinalTraining::test_images(const nn::Plan& plan) const {
  return data::source_of(exec_, parts_.splits.test, parts_.normalisation,
                         {.batch = kTestBatch, .height = plan.height, .width = plan.width});
}

// Every image to the end, for what other thresholds would have done.
ExitTable FinalTraining::test_table(const ScoredNetwork& scored, const Watch& watch) {
  nn::EarlyExitRunner runner(scored.plan, exec_.target(), kTestBatch, exec_.threads());
  const auto images = test_images(*scored.plan);
  return exit_table(answer_all(exec_, runner, *images, watch), scored.rule);
}

// Exits really taken.
double FinalTraining::test_accuracy(const ScoredNetwork& scored, const Watch& watch) {
  nn::EarlyExitRunner runner(scored.plan, exec_.target(), kTestBatch, exec_.threads());
  const auto images = test_images(*scored.plan);
  const TakenExits taken = take_exits(exec_, runner, *images, scored.point.thresholds, scored.rule, watch);
  i64 correct = 0;
  for (std::size_t s = 0; s < taken.outcomes.size(); ++s)
    correct += taken.outcomes[s].predicted == taken.labels[s];
  return double(correct) / double(taken.outcomes.size());
}

}  // namespace offramp::nas
