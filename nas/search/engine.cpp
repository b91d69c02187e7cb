#include "nas/search/engine.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>

#include "data/catalog.h"
#include "kernels/timing.h"
#include "nas/evaluate/evaluate.h"
#include "nas/latency/timed_network.h"
#include "nas/search/candidate_evaluator.h"
#include "nas/search/front.h"
#include "nas/search/hypervolume.h"
#include "nas/search/limits.h"
#include "nas/search/run_dir.h"
#include "nas/search/run_latency.h"
#include "nas/search/samplers.h"
#include "nas/seeds.h"
#include "nas/study/store.h"
#include "tensor/file.h"
#include "tensor/npy.h"
#include "tensor/safetensors.h"

namespace offramp::nas {
namespace {

namespace fs = std::filesystem;

constexpr i64 kTestBatch = 128;
std::string shortest(double value) {
  char text[40];
  const int length = std::snprintf(text, sizeof text, "%.6f", value);
  return std::string(text, std::size_t(length));
}

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

class Run {
 public:
  Run(Exec& exec, const SearchRequest& request, const Watch& watch)
      : exec_(exec),
        request_(request),
        config_(request.config),
        watch_(watch),
        paths_{request.out},
        store_(Store::open(paths_.archive(), Store::Access::write)),
        space_(Space::parse(read_file(paths_.space(), i64{1} << 22), config_.space)),
        splits_(data::load(config_.data, {.dirs = request.data_dirs,
                                          .seed = stream_seed(config_.seed, "split"),
                                          .train_samples = config_.train.samples,
                                          .tune_samples = config_.tune.samples})),
        normalisation_(data::channel_statistics(splits_.train)),
        supernet_(fresh_supernet()),
        latency_(run_latency()),
        evaluator_(exec, space_, supernet_ ? &*supernet_ : nullptr, splits_, normalisation_, config_,
                   latency_ ? &latency_->table() : nullptr),
        generations_known_(i64(store_.generations().size())) {}

  SearchResult run() {
    if (!store_.meta(kMetaFinished))
      store_.add_event(store_.candidate_count() > 0 ? "resume" : "start", request_.build);
    try {
      if (latency_) latency_->complete(sampler()->ask(config_.search.evals), watch_);
      train_supernet_weights();
      search();
      return finish();
    } catch (const Error& e) {
      store_.add_event(e.kind() == Error::Kind::interrupted ? "interrupt" : "error", e.what());
      throw;
    }
  }

 private:
  std::optional<Supernet> fresh_supernet() const {
    if (!wants_supernet(config_)) return std::nullopt;
    return std::optional<Supernet>(std::in_place, space_, task_of(splits_.train),
                                   Rng(stream_seed(config_.seed, "init")), memory_of(exec_));
  }

  std::optional<RunLatency> run_latency() const {
    if (!fs::exists(paths_.latency())) return std::nullopt;
    return std::optional<RunLatency>(std::in_place, paths_.latency(), paths_.missing(), space_, config_.space,
                                     task_of(splits_.train));
  }
  bool timed() const { return config_.objective == "latency"; }

  void train_supernet_weights() {
    if (!supernet_) return;
    if (fs::exists(paths_.supernet())) {
      nn::restore_tensors(supernet_->state(), read_safetensors(paths_.supernet()).tensors);
      return;
    }
    if (config_.supernet.epochs > 0) {
      make_folder(paths_.work());
      const std::string checkpoint = paths_.work() + "/supernet.safetensors";
      const double start = now_seconds();
      i64 macs = 0;
      const TrainReport report = train_supernet(exec_, *supernet_, {splits_.train, normalisation_}, config_,
                                                watch_, checkpoint, &macs);
      store_.set_training_macs(kPhaseSupernet, macs);
      watch_.note("supernet: " + std::to_string(report.epochs) + " epochs on " +
                  std::to_string(splits_.train.size()) + " images, loss " + shortest(report.last_loss) +
                  ", " + std::to_string(i64(now_seconds() - start)) + " s");
    }
    write_safetensors(paths_.supernet(), {supernet_->state(), {}});
    std::error_code ignored;
    fs::remove_all(paths_.work(), ignored);
  }

  std::unique_ptr<Sampler> sampler() const {
    return make_sampler(exec_, space_, task_of(splits_.train), config_);
  }

  void search() {
    const std::unique_ptr<Sampler> sampler = this->sampler();
    const i64 classes = i64(splits_.train.classes.size());
    store_.set_meta(kMetaClasses, std::to_string(classes));
    for (i64 done = 0; done < config_.search.evals;) {
      const double start = now_seconds();
      const std::vector<Proposal> proposals = sampler->ask(config_.search.evals - done);
      if (proposals.empty()) break;  // the space is used up
      if (latency_) latency_->complete(proposals, watch_);
      std::vector<Evaluation> evaluations;
      for (const Proposal& proposal : proposals) {
        const CandidateRecord record = evaluated(proposal);
        evaluations.push_back({record.id, outcome_of(record)});
        front_.insert(record.id, evaluations.back().outcome);
        average_macs_[record.id] = record.avg_macs;
        failed_ += record.state == CandidateRecord::State::failed;
        ++done;
        watch_.progress({.phase = "search",
                         .done = done,
                         .total = config_.search.evals,
                         .unit = "candidate",
                         .best = best_in_words()});
      }
      sampler->tell(evaluations);
      hypervolume_ = hypervolume_of_front(classes);
      const FrontPoint* best = best_at_target();
      evaluated_ = done;
      if (proposals.front().generation < generations_known_) continue;  // gone through before a resume
      store_.set(GenerationRecord{
          .generation = proposals.front().generation,
          .hypervolume = hypervolume_,
          .front_size = i64(front_.points().size()),
          .evaluations = done,
          .failures = failed_,
          .best_at_target = best && config_.target_macs > 0 ? 1 - best->objectives[0] : std::nan(""),
          .seconds = now_seconds() - start});
      watch_.note("generation " + std::to_string(proposals.front().generation) + ": " + std::to_string(done) +
                  " evaluated, hypervolume " + shortest(hypervolume_) + ", front " +
                  std::to_string(front_.points().size()) + ", best " + best_in_words());
      if (const std::string tau = surrogate_in_words(*sampler); !tau.empty()) {
        store_.add_event("surrogate", tau);
        watch_.note(tau);
      }
    }
    if (front_.points().empty() && failed_ < evaluated_) nothing_within_limits();
    if (front_.points().empty())
      throw Error(
          "every one of the " + std::to_string(evaluated_) + " candidates failed; the archive says why",
          Error::Kind::infeasible);
  }

  double target() const { return config_.target_macs > 0 ? double(config_.target_macs) : HUGE_VAL; }

  // Microseconds count as 10^4 MACs, so that 10 us to 10 ms span the same box.
  double hypervolume_of_front(i64 classes) const {
    std::vector<std::vector<double>> points = front_.objectives();
    if (timed())
      for (std::vector<double>& p : points) p[1] *= 1e4;
    return accuracy_cost_hypervolume(points, classes);
  }

  // The most accurate of the front whose average MACs meet the target; ties: the cheaper one, then the older.
  const FrontPoint* best_at_target() const {
    const FrontPoint* best = nullptr;
    for (const FrontPoint& p : front_.points())
      if (meets_target(p) && (!best || p.objectives < best->objectives)) best = &p;
    return best;
  }
  bool meets_target(const FrontPoint& p) const { return average_macs_.at(p.id) <= target(); }

  std::string best_in_words() const {
    const FrontPoint* best = best_at_target();
    if (!best) return "";
    char us[32];
    std::snprintf(us, sizeof us, "%.1f us", best->objectives[1]);
    return percent(1 - best->objectives[0]) + " at " +
           (timed() ? std::string(us) : millions(best->objectives[1]) + " MACs");
  }

  // Every candidate breaks a limit: says which comes nearest and how it stands.
  [[noreturn]] void nothing_within_limits() {
    const CandidateRecord* nearest = nullptr;
    const std::vector<CandidateRecord> all = store_.candidates();
    for (const CandidateRecord& c : all)
      if (c.state == CandidateRecord::State::scored && (!nearest || c.violation < nearest->violation))
        nearest = &c;
    const auto plan = plan_of(space_, nearest->genotype, task_of(splits_.train), true);
    const NetworkSize size =
        size_of(plan, exec_.target(), config_.limits, latency_ ? &latency_->table() : nullptr);
    write_front({});
    end_infeasible("none of " + std::to_string(evaluated_) + " candidates keeps the limits; the nearest is " +
                   std::to_string(nearest->id) + " with " + against_limits(size, config_.limits) +
                   " (genotype " + to_text(nearest->genotype) + "): raise the limits, or --evals");
  }
  [[noreturn]] void end_infeasible(const std::string& why) {
    store_.set_meta(kMetaInfeasible, why);
    store_.set_meta(kMetaFinished, "1");
    throw Error(why, Error::Kind::infeasible);
  }

  Outcome outcome_of(const CandidateRecord& record) const {
    if (record.state == CandidateRecord::State::failed) return Failed{record.reason};
    return Scored{record.objectives, record.violation,
                  lesson_of(space_, config_, record.genotype, 1 - record.accuracy_tune, record.exit_shares)};
  }

  // What the archive holds is not what this configuration proposes.
  [[noreturn]] void foreign(const std::string& what) const {
    throw input_error(paths_.archive() + " belongs to another configuration than " + paths_.config() + ": " +
                      what + "; restore run.toml as it was, or start a new run");
  }

  // From the archive when it was evaluated before an interruption.
  CandidateRecord evaluated(const Proposal& proposal) {
    if (const auto known = store_.find(proposal.genotype)) {
      if (known->id == proposal.id) return *known;
      foreign("network " + to_text(proposal.genotype) + " is candidate " + std::to_string(known->id) +
              " there and " + std::to_string(proposal.id) + " here");
    }
    if (store_.candidate(proposal.id))
      foreign("candidate " + std::to_string(proposal.id) + " is another network there");
    watch_.check();
    const CandidateRecord record = evaluator_.evaluate(proposal, watch_);
    if (record.state == CandidateRecord::State::failed)
      watch_.note("candidate " + std::to_string(record.id) + " failed: " + record.reason);
    store_.add(record);
    return record;
  }

  // final.count of the front: the best under the target, then evenly spread over those that meet it (over all
  // of them when there is no target or none does).
  std::vector<i64> ids_to_finish() const {
    std::vector<i64> meeting, ids;  // ascending in error
    for (const FrontPoint& p : front_.points())
      if (meets_target(p)) meeting.push_back(p.id);
    if (meeting.empty())
      for (const FrontPoint& p : front_.points()) meeting.push_back(p.id);
    const i64 n = i64(meeting.size()), count = std::min(config_.final.count, n);
    for (i64 i = 0; i < count; ++i)
      ids.push_back(meeting[std::size_t(count > 1 ? i * (n - 1) / (count - 1) : 0)]);
    return ids;
  }

  SearchResult finish() {
    make_folder(paths_.models());
    std::vector<FinalNetwork> networks;
    const std::vector<i64> ids = ids_to_finish();
    SearchConfig config = config_;
    config.final.epochs = final_epochs(ids);
    const CandidateEvaluator trainer(exec_, space_, supernet_ ? &*supernet_ : nullptr, splits_,
                                     normalisation_, config, latency_ ? &latency_->table() : nullptr);
    for (std::size_t i = 0; i < ids.size(); ++i)
      networks.push_back(
          finished(ids[i], trainer, "final " + std::to_string(i + 1) + "/" + std::to_string(ids.size())));

    SearchResult result{.evaluated = evaluated_, .failed = failed_, .hypervolume = hypervolume_};
    result.training = store_.training_cost();
    result.front = non_dominated(networks);
    write_front(result.front);
    choose(result, networks);
    result.sample = paths_.sample();
    write_npy(result.sample, splits_.test.images.slice(0, 0, std::min<i64>(4, splits_.test.size())));
    store_.set_meta(kMetaFinished, "1");
    return result;
  }

  // What the run's training budget leaves, the same number for each network.
  i64 final_epochs(const std::vector<i64>& ids) const {
    if (config_.search.training_macs == 0) return config_.final.epochs;
    const TrainingCost spent = store_.training_cost();
    const i64 batch = config_.train.batch, images = std::max<i64>(1, splits_.train.size() / batch) * batch;
    i64 epoch = 0;
    for (i64 id : ids)
      epoch += images * forward_macs(space_.decode(store_.candidate(id)->genotype, task_of(splits_.train)));
    const i64 left = config_.search.training_macs - spent.supernet - spent.candidates;
    const i64 epochs = left > 0 && epoch > 0 ? left / epoch : 0;
    watch_.note("final networks: " + std::to_string(epochs) + " epochs each");
    return epochs;
  }

  // Trained to the end, tuned, evaluated on the test split once; its model file says that this was done.
  FinalNetwork finished(i64 id, const CandidateEvaluator& trainer, const std::string& phase) {
    const CandidateRecord record = *store_.candidate(id);
    FinalNetwork network{.id = id, .genotype = record.genotype, .model = paths_.model(id)};
    const std::string key = "final " + std::to_string(id);
    if (!(fs::exists(network.model) && store_.meta(key))) {
      watch_.check();
      make_folder(paths_.work());
      const std::string checkpoint = paths_.work() + "/" + std::to_string(id) + ".safetensors";
      i64 macs = 0;
      const ScoredNetwork scored = trainer.score(record.genotype, CandidateEvaluator::Purpose::final, phase,
                                                 watch_, checkpoint, &macs);
      store_.set_training_macs(phase_of_final(id), macs);
      nn::save_model(network.model, model_of(scored, config_, space_.name(), record.genotype, splits_,
                                             normalisation_, request_.build));
      store_.set_meta(key, final_figures(scored, test_accuracy(scored),
                                         latency_ ? expected_latency_us(scored, latency_->table()) : -1));
      std::error_code ignored;
      fs::remove_all(paths_.work(), ignored);
    }
    read_figures(*store_.meta(key), network);
    const nn::Model model = nn::load_model(network.model);
    network.thresholds = model.thresholds;
    network.full_macs = nn::exit_costs(*model.plan).back().leave_macs;
    network.params = model.plan->params();
    watch_.note(phase + ": network " + std::to_string(id) + ", tune " + percent(network.accuracy_tune) +
                ", test " + percent(network.accuracy_test) + " at " + millions(network.avg_macs) +
                " MACs on average");
    return network;
  }

  double test_accuracy(const ScoredNetwork& scored) {
    nn::EarlyExitRunner runner(scored.plan, exec_.target(), kTestBatch, exec_.threads());
    data::Loader loader(splits_.test, normalisation_,
                        {.batch = kTestBatch, .height = scored.plan->height, .width = scored.plan->width});
    const TakenExits taken = take_exits(exec_, runner, loader, scored.point.thresholds, scored.rule, watch_);
    i64 correct = 0;
    for (std::size_t s = 0; s < taken.outcomes.size(); ++s)
      correct += taken.outcomes[s].predicted == taken.labels[s];
    return double(correct) / double(taken.outcomes.size());
  }

  // Kept exactly: hexadecimal floats.
  static std::string final_figures(const ScoredNetwork& scored, double accuracy_test, double latency_us) {
    char text[160];
    std::snprintf(text, sizeof text, "%a %a %a %a", scored.accuracy(), accuracy_test, scored.average_macs(),
                  latency_us);
    return text;
  }
  static void read_figures(const std::string& text, FinalNetwork& network) {
    double latency_us = -1;  // without a table; absent from older archives
    if (std::sscanf(text.c_str(), "%la %la %la %la", &network.accuracy_tune, &network.accuracy_test,
                    &network.avg_macs, &latency_us) < 3)
      throw input_error("archive: the figures of network " + std::to_string(network.id) + " are damaged");
    if (latency_us >= 0) network.latency_us = latency_us;
  }

  double cost_of(const FinalNetwork& n) const { return timed() ? *n.latency_us : n.avg_macs; }

  std::vector<FinalNetwork> non_dominated(const std::vector<FinalNetwork>& networks) const {
    Front front;
    for (const FinalNetwork& n : networks) front.insert(n.id, Scored{{1 - n.accuracy_tune, cost_of(n)}});
    std::vector<FinalNetwork> kept;
    for (const FinalNetwork& n : networks)
      for (const FrontPoint& p : front.points())
        if (p.id == n.id) kept.push_back(n);
    std::sort(kept.begin(), kept.end(), [this](const FinalNetwork& a, const FinalNetwork& b) {
      return cost_of(a) != cost_of(b) ? cost_of(a) < cost_of(b) : a.id < b.id;
    });
    return kept;
  }

  void write_front(const std::vector<FinalNetwork>& networks) const {
    std::string csv = "id,accuracy_tune,accuracy_test,avg_macs,full_macs,params,latency_us,genotype\n";
    for (const FinalNetwork& n : networks) {
      char avg[32], us[32] = "";
      std::snprintf(avg, sizeof avg, "%.1f", n.avg_macs);
      if (n.latency_us) std::snprintf(us, sizeof us, "%.2f", *n.latency_us);
      csv += std::to_string(n.id) + "," + shortest(n.accuracy_tune) + "," + shortest(n.accuracy_test) + "," +
             avg + "," + std::to_string(n.full_macs) + "," + std::to_string(n.params) + "," + us + ",\"" +
             to_text(n.genotype) + "\"\n";
    }
    write_file_atomically(paths_.front(), csv);
  }

  void choose(SearchResult& result, const std::vector<FinalNetwork>& networks) {
    Front front;
    for (const FinalNetwork& n : result.front)
      if (n.avg_macs <= target()) front.insert(n.id, Scored{{1 - n.accuracy_tune, cost_of(n)}});
    const FrontPoint* chosen =
        config_.target_macs > 0 ? best_under(front.points(), 1, HUGE_VAL) : front_knee(front.points());
    if (!chosen) {
      const auto nearest =
          std::min_element(networks.begin(), networks.end(),
                           [](const auto& a, const auto& b) { return a.avg_macs < b.avg_macs; });
      const std::string why = "no network meets the target of " + millions(target()) +
                              " average MACs; the nearest is " + nearest->model + " with " +
                              millions(nearest->avg_macs) + ": raise --target-macs";
      end_infeasible(why);
    }
    result.chosen = chosen->id;
    result.chosen_model = paths_.chosen();
    write_file_atomically(paths_.chosen(), read_file(paths_.model(chosen->id)));
  }

  Exec& exec_;
  const SearchRequest& request_;
  const SearchConfig& config_;
  const Watch& watch_;
  RunPaths paths_;
  Store store_;
  Space space_;
  data::Splits splits_;
  data::Normalisation normalisation_;
  std::optional<Supernet> supernet_;   // where any network starts from its weights
  std::optional<RunLatency> latency_;  // where latency is an objective, a limit or a column
  CandidateEvaluator evaluator_;
  Front front_;
  std::map<i64, double> average_macs_;  // of every candidate, by id
  i64 generations_known_;               // rows that an interrupted run has left
  i64 evaluated_ = 0, failed_ = 0;
  double hypervolume_ = 0;
};

}  // namespace

SearchResult continue_run(Exec& exec, const SearchRequest& request, const Watch& watch) {
  return Run(exec, request, watch).run();
}

}  // namespace offramp::nas
