#include "nas/search/candidate_evaluator.h"

#include <cmath>

#include "data/device_loader.h"
#include "kernels/timing.h"
#include "nas/evaluate/evaluate.h"
#include "nas/latency/predict.h"
#include "nas/search/limits.h"
#include "nas/search/objectives.h"
#include "nas/seeds.h"
#include "nas/thresholds/calibration.h"
#include "nn/record.h"
#include "tensor/storage_limit.h"

namespace offramp::nas {
namespace {

constexpr i64 kBatch = 128;        // images computed together when a split is walked
constexpr i64 kCurvePoints = 200;  // kept in a model file

}  // namespace

i64 ScoredNetwork::full_macs() const { return nn::exit_costs(*plan).back().leave_macs; }

Tuning tuning_of(const SearchConfig& config, const LatencyTable* latency) {
  Tuning tuning{.rule = {.confidence = nn::parse_confidence(config.tune.confidence),
                         .temperature = {},
                         .cascade = config.tune.cascade},
                .calibrate = config.tune.calibrate,
                .options = {.kind = parse_tune_kind(config.tune.kind),
                            // What the target leaves room for is not given up.
                            .tolerance = tuning_target(config) ? 0 : config.search.tolerance,
                            .min_accuracy = config.tune.min_accuracy,
                            .two_sided = config.tune.penalty == "two-sided"}};
  const bool timed = tunes_on_latency(config);
  if (timed) tuning.latency = latency;
  // Tuners that miss it on either side must have something to divide by.
  if (const auto target = tuning_target(config))
    tuning.options.target = std::max<i64>(1, i64(std::floor(*target * (timed ? kPicosecondsPerUs : 1))));
  return tuning;
}

ScoredNetwork score_plan(Exec& exec, std::shared_ptr<const nn::Plan> plan, const data::Dataset& split,
                         const data::Normalisation& normalisation, const Tuning& tuning, const Watch& watch) {
  nn::EarlyExitRunner runner(plan, exec.target(), kBatch, exec.threads());
  const auto images = data::source_of(exec, split, normalisation,
                                      {.batch = kBatch, .height = plan->height, .width = plan->width});
  ScoredNetwork scored{.plan = plan, .rule = tuning.rule};
  const auto logits = answer_all(exec, runner, *images, watch);
  for (float l : logits->values)  // one that knows nothing and one that is broken must not look alike
    if (!std::isfinite(l)) throw Error("the network's answers are not finite numbers");
  for (float l : logits->own)  // the final exit's is infinite: certain
    if (std::isnan(l)) throw Error("the network's confidences are not numbers");
  if (tuning.calibrate)
    scored.rule.temperature =
        fit_temperatures(logits->values, logits->labels, logits->exits, logits->classes);
  scored.table = exit_table(logits, scored.rule);
  scored.costs = exit_costs_of(*plan);
  const ExitCosts tuned_on =
      tuning.latency ? latency_costs(*plan, predict(*tuning.latency, *plan)) : scored.costs;
  scored.point = tune(scored.table, tuned_on, tuning.options);
  scored.result = apply_policy(scored.table, scored.costs, scored.point.thresholds);
  return scored;
}

double expected_latency_us(const ScoredNetwork& scored, const LatencyTable& latency) {
  std::vector<double> shares;
  for (i64 left : scored.result.left) shares.push_back(double(left) / double(scored.table.samples));
  return expected_us(leave_us(*scored.plan, predict(latency, *scored.plan), scored.point.thresholds), shares);
}

void store_curve(nn::Model& model, const ScoredNetwork& scored) {
  model.curve.clear();
  model.curve_samples = scored.table.samples;
  for (const CurvePoint& p : thinned(accuracy_cost_curve(scored.table, scored.costs), kCurvePoints))
    model.curve.push_back({p.thresholds, double(p.correct) / double(scored.table.samples), p.total_cost});
}

nn::Model model_of(const ScoredNetwork& scored, const SearchConfig& config, const std::string& space,
                   const Genotype& genotype, const data::Splits& splits,
                   const data::Normalisation& normalisation, const std::string& build) {
  nn::Model model{.plan = scored.plan,
                  .space = space,
                  .genotype = genotype,
                  .class_names = splits.train.classes,
                  .mean = normalisation.mean,
                  .std = normalisation.std,
                  .rule = scored.rule,
                  .thresholds = scored.point.thresholds,
                  .data = config.data,
                  .split_seed = stream_seed(config.seed, "split"),
                  .train_samples = splits.train.size(),
                  .tune_samples = splits.tune.size(),
                  .seed = config.seed,
                  .build = build};
  store_curve(model, scored);
  return model;
}

Tuning CandidateEvaluator::tuning_of(const Genotype& genotype) const {
  Tuning tuning = nas::tuning_of(config_, latency_);
  if (tuning.options.kind == TuneKind::genes)
    for (i64 e = 0; e < space_.exits(); ++e)
      if (space_.exit_on(genotype, e))
        tuning.options.genes.push_back(float(*space_.threshold_gene(genotype, e)));
  return tuning;
}

nn::EarlyExitNetwork* CandidateEvaluator::teacher() const {
  if (config_.train.teacher != "supernet") return nullptr;
  if (!teacher_) {
    if (!supernet_) throw Error("the supernet is to teach, but there is none");
    teacher_.emplace(supernet_->extract(space_.max_genotype()));
    recalibrate(exec_, *teacher_, {splits_.train, normalisation_}, config_.final.recalibrate,
                config_.train.batch);
  }
  return &*teacher_;
}

u64 training_seed(const SearchConfig& config, const Genotype& genotype) {
  return stream_seed(config.seed, "training " + to_text(genotype));
}

nn::EarlyExitNetwork CandidateEvaluator::starting_network(const Genotype& genotype, bool from_scratch) const {
  if (!from_scratch) {
    if (!supernet_) throw Error("a network is to inherit weights, but there is no supernet");
    return supernet_->extract(genotype);
  }
  // Of the genotype, not of the order of evaluation: the same candidate starts alike in every run of a seed.
  const std::string name = "init " + to_text(space_.canonical(genotype));
  nn::FreshParameters fresh{Rng(stream_seed(config_.seed, name))};
  nn::ParametersOn source(memory_of(exec_), fresh);
  return nn::EarlyExitNetwork(space_.decode(genotype, task_of(splits_.train)), source);
}

ScoredNetwork CandidateEvaluator::score(const Genotype& genotype, Purpose purpose, const std::string& phase,
                                        const Watch& watch, const std::string& checkpoint, i64* macs,
                                        i64 stop_after) const {
  const bool candidate = purpose == Purpose::candidate;
  nn::EarlyExitNetwork network =
      starting_network(genotype, candidate ? candidates_from_scratch(config_) : finals_from_scratch(config_));
  Regime regime = candidate ? candidate_regime(config_) : final_regime(config_);
  regime.stop_after = stop_after;
  TrainingData training{splits_.train, normalisation_};
  if (regime.trains()) {
    training.teacher = teacher();
    train_network(exec_, network, training, config_, regime, training_seed(config_, genotype), phase, watch,
                  checkpoint, macs);
  }
  recalibrate(exec_, network, training, regime.recalibrate, config_.train.batch);
  return score_plan(exec_, std::make_shared<const nn::Plan>(nn::deployable(network)), splits_.tune,
                    normalisation_, tuning_of(genotype), watch);
}

CandidateRecord CandidateEvaluator::evaluate(const Proposal& proposal, const Rung& rung,
                                             const Watch& watch) const {
  const double start = now_seconds() - rung.seconds;
  CandidateRecord record{.id = proposal.id,
                         .generation = proposal.generation,
                         .genotype = proposal.genotype,
                         .origin = proposal.origin,
                         .parents = proposal.parents,
                         .predicted = proposal.predicted,
                         .predicted_by = proposal.predicted_by,
                         .seed = training_seed(config_, proposal.genotype),
                         .epochs = rung.left > 0 ? rung.epochs : config_.candidate.epochs,
                         .rungs_left = rung.left};
  record.weights = candidates_from_scratch(config_)     ? "scratch, trained"
                   : candidate_regime(config_).trains() ? "supernet, fine-tuned"
                                                        : "supernet";
  Watch limited = watch;
  limited.on_progress = nullptr;  // the search shows its own progress
  if (const double limit = config_.candidate.seconds; limit > 0)
    limited.deadline = watch.deadline > 0 ? std::min(watch.deadline, start + limit) : start + limit;
  try {
    if (exec_.gpu())
      splits_.train.on_card(), splits_.tune.on_card();  // of the run, not of the first candidate
    const StorageLimit memory(config_.candidate.rss);
    const ScoredNetwork scored = score(proposal.genotype, Purpose::candidate, "candidate", limited,
                                       rung.checkpoint, &record.train_macs, rung.left > 0 ? rung.epochs : 0);
    record.accuracy_tune = scored.accuracy();
    record.avg_macs = scored.average_macs();
    record.full_macs = scored.full_macs();
    record.params = scored.plan->params();
    record.thresholds = scored.point.thresholds;
    if (latency_) record.latency_us = expected_latency_us(scored, *latency_);
    record.objectives = values_of(objectives_of(config_), figures_of(record));
    NetworkSize size = size_of(scored.plan, exec_.target(), config_.limits, latency_);
    size.avg_macs = record.avg_macs, size.avg_us = record.latency_us;
    record.violation = violation_of(size, config_.limits);
    for (i64 e = 0; e < scored.table.exits; ++e) {
      i64 correct = 0;
      for (i64 s = 0; s < scored.table.samples; ++s) correct += scored.table.correct(s, e);
      record.exit_shares.push_back(double(scored.result.left[std::size_t(e)]) / double(scored.table.samples));
      record.exit_accuracies.push_back(double(correct) / double(scored.table.samples));
    }
  } catch (const std::exception& e) {
    watch.check();  // stopped from outside: that is no failure of the candidate
    const auto* error = dynamic_cast<const Error*>(&e);
    const bool over_time = error && error->kind() == Error::Kind::interrupted;
    record.state = CandidateRecord::State::failed;
    if (over_time)
      record.reason = "took longer than candidate.seconds";
    else if (dynamic_cast<const StorageExceeded*>(&e))
      record.reason = std::string("took more memory than candidate.rss: ") + e.what();
    else
      record.reason = e.what();
  }
  record.seconds = now_seconds() - start;
  return record;
}

}  // namespace offramp::nas
