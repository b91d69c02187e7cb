// Training of plain networks and of supernets: what one batch does, and with which options.
#pragma once
#include <memory>

#include "data/loader.h"
#include "nas/search/config.h"
#include "nas/supernet/supernet.h"
#include "nas/train/trainer.h"

namespace offramp::nas {

// A search's training data: the loader's options follow the network's input size.
struct TrainingData {
  const data::Dataset& train;
  const data::Normalisation& normalisation;
  // Its final exit, on images resized to what it takes, teaches every exit of a plain network, in place of
  // the network's own final exit. Its statistics are those that it answers from.
  nn::EarlyExitNetwork* teacher = nullptr;
};

// What a network trained on `set` sees and answers.
Task task_of(const data::Dataset& set);

// What each of `exits` losses weighs under config.train.loss; empty: 1 each.
std::vector<double> exit_weights(const SearchConfig& config, i64 exits);

// MACs of one image's forward pass in training: through every exit, as the deployed plan counts them.
i64 forward_macs(const nn::Architecture& architecture);
// The same of a teacher, which runs past its early exits.
i64 teaching_macs(const nn::Architecture& teacher);

// Both trainings below tell in `macs`, unless it is null, what they cost: forward MACs x images, a teacher's
// included, a figure that depends on no machine. Steps before an interruption count too, statistics
// re-estimated afterwards do not.

// What candidates, final networks and `train` choose for themselves in training one network.
struct Regime {
  i64 epochs = 0, backbone_epochs = 0;  // of them in front, of the backbone alone
  double lr = 0, warmup = 0, weight_decay = 0, clip = 0;
  i64 stop_after = 0;   // TrainOptions::stop_after
  i64 recalibrate = 0;  // images behind normalisation statistics

  bool trains() const { return epochs + backbone_epochs > 0; }
};
Regime train_regime(const SearchConfig& config);
Regime candidate_regime(const SearchConfig& config);
Regime final_regime(const SearchConfig& config);

// A plain network on its own (or fine-tuned from weights it has): cross entropy at every exit, weighted and
// meeting in the trunk as config.train has it, the final exit (or data.teacher) teaching the earlier ones; or
// the expected loss of exits that learn how sure they are (config.confidence). With regime.backbone_epochs
// the backbone is trained first, on the final exit's cross entropy; then everything, or with
// config.train.freeze_backbone the early exits alone, on the backbone as it will be deployed. Everything that
// `regime` leaves open comes from config.train. Throws Error(usage) for the expected loss where exits learn
// no confidence.
TrainReport train_network(Exec& exec, nn::EarlyExitNetwork& network, const TrainingData& data,
                          const SearchConfig& config, const Regime& regime, u64 seed,
                          const std::string& phase, const Watch& watch, const std::string& checkpoint = "",
                          i64* macs = nullptr);

// Sandwich rule with in-place distillation: every batch trains the largest network on the labels, then the
// smallest and random ones on the labels and the largest one's answer (config.supernet.distill; 1 = on that
// alone, as the source has it, learns slowly while the largest network still knows little). Every network of
// the sandwich counts in `macs`, known when all is done. Source: Yu et al. 2020 (BigNAS).
TrainReport train_supernet(Exec& exec, const Supernet& supernet, const TrainingData& data,
                           const SearchConfig& config, const Watch& watch, const std::string& checkpoint = "",
                           i64* macs = nullptr);

// Batches where `exec` computes; on a card in the type that activations have there.
std::unique_ptr<data::BatchSource> source_of(Exec& exec, const TrainingData& data,
                                             const data::LoaderOptions& options);

// Normalisation statistics of a network re-estimated on the first `images` training images, not augmented.
void recalibrate(Exec& exec, nn::EarlyExitNetwork& network, const TrainingData& data, i64 images, i64 batch);

}  // namespace offramp::nas
