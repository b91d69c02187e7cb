#include "nas/search/engine.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <set>

#include "data/catalog.h"
#include "kernels/timing.h"
#include "nas/latency/timed_network.h"
#include "nas/search/candidate_evaluator.h"
#include "nas/search/front.h"
#include "nas/search/generation.h"
#include "nas/search/limits.h"
#include "nas/search/objectives.h"
#include "nas/search/run_dir.h"
#include "nas/search/run_latency.h"
#include "nas/search/samplers.h"
#include "nas/seeds.h"
#include "nas/study/curves.h"
#include "nas/study/store.h"
#include "tensor/file.h"
#include "tensor/npy.h"
#include "tensor/safetensors.h"

namespace offramp::nas {
namespace {

namespace fs = std::filesystem;

std::string shortest(double value) {
  char text[40];
  const int length = std::snprintf(text, sizeof text, "%.6f", value);
  return std::string(text, std::size_t(length));
}

class Run {
 public:
  Run(Exec& exec, const SearchRequest& request, const Watch& watch)
      : exec_(exec),
        request_(request),
        config_(request.config),
        objectives_(objectives_of(config_)),
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
        generation_(store_, paths_, space_, evaluator_, config_),
        rows_(store_.generations()) {
    require_same_config(store_, paths_, config_);
  }

  SearchResult run() {
    if (!store_.meta(kMetaFinished))
      store_.add_event(store_.candidate_count() > 0 ? "resume" : "start", request_.build);
    try {
      if (latency_) latency_->complete(sampler()->ask(config_.search.evals), watch_);
      train_supernet_weights();
      search();
      const SearchResult result = finish();
      if (!store_.meta(kMetaFinished)) {
        store_.add_event("finish", std::to_string(result.front.size()) + " networks on the front");
        store_.set_meta(kMetaFinished, "1");
      }
      return result;
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
      const std::string trained = std::to_string(report.epochs) + " epochs on " +
                                  std::to_string(splits_.train.size()) + " images, loss " +
                                  shortest(report.last_loss) + ", " +
                                  std::to_string(i64(now_seconds() - start)) + " s";
      store_.add_event("supernet", trained);
      watch_.note("supernet: " + trained);
    }
    write_safetensors(paths_.supernet(), {supernet_->state(), {}});
    std::error_code ignored;
    fs::remove_all(paths_.work(), ignored);
  }

  std::unique_ptr<Sampler> sampler() const {
    return make_sampler(exec_, space_, task_of(splits_.train), config_);
  }

  // As the archive has it where it was decided before. A new one is kept before anything of it is evaluated:
  // what surrogates took long to find is not looked for again.
  std::vector<Proposal> next_generation(Sampler& sampler, i64 limit) {
    std::vector<Proposal> proposals = store_.proposals(sampler.generation());
    const std::size_t wanted = std::size_t(sampler.size_of_next(limit));
    if (proposals.size() >= wanted) {
      proposals.resize(wanted);
      sampler.replay(proposals);
      return proposals;
    }
    const bool known = !proposals.empty();  // its beginning, by a run that ended there
    proposals = sampler.ask(limit, watch_);
    const std::string failure = known ? "" : surrogate_failure_in_words(sampler);
    store_.atomically([&] {
      store_.set_pending(proposals);
      if (!failure.empty()) store_.add_event("surrogate", failure);
    });
    if (!failure.empty()) watch_.note(failure);
    return proposals;
  }

  // An earlier part of the run has written the row. One of a run that ended inside the generation and was
  // extended since is about less.
  bool written(const GenerationRecord& row) const {
    return row.generation < i64(rows_.size()) &&
           rows_[std::size_t(row.generation)].evaluations == row.evaluations;
  }

  void search() {
    const std::unique_ptr<Sampler> sampler = this->sampler();
    const i64 classes = i64(splits_.train.classes.size());
    store_.set_meta(kMetaClasses, std::to_string(classes));
    i64 train_macs = store_.training_cost().supernet;
    for (i64 done = 0; done < config_.search.evals;) {
      const double start = now_seconds();
      const std::vector<Proposal> proposals = next_generation(*sampler, config_.search.evals - done);
      if (proposals.empty()) break;  // the space is used up
      if (latency_) latency_->complete(proposals, watch_);
      std::vector<Evaluation> evaluations;
      generation_.evaluate(proposals, watch_, [&](const CandidateRecord* record) {
        if (record) {
          evaluations.push_back({record->id, outcome_of(space_, config_, *record)});
          front_.insert(record->id, evaluations.back().outcome);
          if (meets_target(config_, record->avg_macs, record->latency_us)) meeting_target_.insert(record->id);
          train_macs += record->train_macs;
          failed_ += record->state == CandidateRecord::State::failed;
          ++done;
        }
        watch_.progress({.phase = "search",
                         .done = done,
                         .total = config_.search.evals,
                         .unit = "candidate",
                         .best = best_in_words()});
      });
      sampler->tell(evaluations);
      hypervolume_ = front_hypervolume(front_.objectives(), objectives_, classes);
      const FrontPoint* best = best_at_target();
      evaluated_ = done;
      GenerationRecord row{.generation = proposals.front().generation,
                           .hypervolume = hypervolume_,
                           .front = {},
                           .evaluations = done,
                           .failures = failed_,
                           .best_at_target = best && has_target() ? 1 - best->objectives[0] : std::nan(""),
                           .best_id = best && has_target() ? best->id : -1,
                           .train_macs = train_macs,
                           .seconds = now_seconds() - start};
      for (const FrontPoint& p : front_.points()) row.front.push_back(p.id);
      std::sort(row.front.begin(), row.front.end());
      if (written(row)) continue;  // gone through before a resume
      const std::string tau = surrogate_in_words(*sampler);
      store_.atomically([&] {
        store_.set(row);
        if (!tau.empty()) store_.add_event("surrogate", tau);
      });
      watch_.note("generation " + std::to_string(row.generation) + ": " + std::to_string(done) +
                  " evaluated, hypervolume " + shortest(hypervolume_) + ", front " +
                  std::to_string(row.front.size()) + ", best " + best_in_words());
      if (!tau.empty()) watch_.note(tau);
    }
    if (front_.points().empty() && failed_ < evaluated_) nothing_within_limits();
    if (front_.points().empty())
      throw Error(
          "every one of the " + std::to_string(evaluated_) + " candidates failed; the archive says why",
          Error::Kind::infeasible);
  }

  bool has_target() const { return config_.target_macs > 0 || config_.target_latency_us > 0; }

  // The most accurate of the front that meets the target; ties: the cheaper one, then the older.
  const FrontPoint* best_at_target() const {
    const FrontPoint* best = nullptr;
    for (const FrontPoint& p : front_.points())
      if (meeting_target_.count(p.id) && (!best || p.objectives < best->objectives)) best = &p;
    return best;
  }

  std::string best_in_words() const {
    const FrontPoint* best = best_at_target();
    return best ? in_words(objectives_, best->objectives) : "";
  }

  // Every candidate breaks a limit: says which comes nearest and how it stands.
  [[noreturn]] void nothing_within_limits() {
    const CandidateRecord* nearest = nullptr;
    const std::vector<CandidateRecord> all = store_.candidates();
    for (const CandidateRecord& c : all)
      if (c.state == CandidateRecord::State::scored && (!nearest || c.violation < nearest->violation))
        nearest = &c;
    if (nearest->violation <= 0)
      throw Error("every candidate that was to be trained to the end failed; the archive says why",
                  Error::Kind::infeasible);
    const auto plan = plan_of(space_, nearest->genotype, task_of(splits_.train), true);
    NetworkSize size = size_of(plan, exec_.target(), config_.limits, latency_ ? &latency_->table() : nullptr);
    size.avg_macs = nearest->avg_macs, size.avg_us = nearest->latency_us;
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

  // final.count of the front: the best under the target, then evenly spread over those that meet it (over all
  // of them when there is no target or none does).
  std::vector<i64> ids_to_finish() const {
    std::vector<i64> meeting, ids;  // ascending in error
    for (const FrontPoint& p : front_.points())
      if (meeting_target_.count(p.id)) meeting.push_back(p.id);
    if (meeting.empty())
      for (const FrontPoint& p : front_.points()) meeting.push_back(p.id);
    const i64 n = i64(meeting.size()), count = std::min(config_.final.count, n);
    for (i64 i = 0; i < count; ++i)
      ids.push_back(meeting[std::size_t(count > 1 ? i * (n - 1) / (count - 1) : 0)]);
    return ids;
  }

  SearchResult finish() {
    make_folder(paths_.models());
    const std::vector<FinalNetwork> networks =
        FinalTraining(exec_,
                      {space_, supernet_ ? &*supernet_ : nullptr, splits_, normalisation_, config_,
                       latency_ ? &latency_->table() : nullptr, request_.build},
                      store_, paths_)
            .train(ids_to_finish(), watch_);

    SearchResult result{.evaluated = evaluated_, .failed = failed_, .hypervolume = hypervolume_};
    result.training = store_.training_cost();
    result.front = non_dominated(networks);
    write_front(result.front);
    std::vector<std::string> curves;
    for (const FinalNetwork& n : networks) curves.push_back(store_.meta(meta_of_curve(n.id)).value_or(""));
    write_file_atomically(paths_.curves(), curves_csv(curves));
    choose(result, networks);
    result.sample = paths_.sample();
    write_npy(result.sample, splits_.test.images.slice(0, 0, std::min<i64>(4, splits_.test.size())));
    return result;
  }

  static double latency_of(const FinalNetwork& n) { return n.latency_us.value_or(std::nan("")); }

  // Objectives, and violation of the limits on averages, which training to the end may have moved.
  Scored scored(const FinalNetwork& n) const {
    const Figures figures{1 - n.accuracy_tune, n.avg_macs, latency_of(n), n.full_macs, n.params};
    return {values_of(objectives_, figures),
            violation_of({.avg_macs = n.avg_macs, .avg_us = latency_of(n)}, config_.limits)};
  }

  std::vector<FinalNetwork> non_dominated(const std::vector<FinalNetwork>& networks) const {
    Front front;
    for (const FinalNetwork& n : networks) front.insert(n.id, scored(n));
    std::vector<FinalNetwork> kept;
    for (const FinalNetwork& n : networks)
      for (const FrontPoint& p : front.points())
        if (p.id == n.id) kept.push_back(n);
    std::sort(kept.begin(), kept.end(), [this](const FinalNetwork& a, const FinalNetwork& b) {
      const double x = scored(a).objectives[1], y = scored(b).objectives[1];
      return x != y ? x < y : a.id < b.id;
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
      if (meets_target(config_, n.avg_macs, latency_of(n))) front.insert(n.id, scored(n));
    const FrontPoint* chosen =
        has_target() ? best_under(front.points(), 1, HUGE_VAL) : front_knee(front.points());
    if (!chosen) nothing_to_choose(networks);
    result.chosen = chosen->id;
    result.chosen_model = paths_.chosen();
    write_file_atomically(paths_.chosen(), read_file(paths_.model(chosen->id)));
  }

  [[noreturn]] void nothing_to_choose(const std::vector<FinalNetwork>& networks) {
    const bool timed = tunes_on_latency(config_);
    const Objective average = timed ? Objective::latency : Objective::macs;
    const auto cost = [&](const FinalNetwork& n) { return timed ? latency_of(n) : n.avg_macs; };
    const auto nearest = std::min_element(networks.begin(), networks.end(),
                                          [&](const auto& a, const auto& b) { return cost(a) < cost(b); });
    const double target = timed ? config_.target_latency_us : double(config_.target_macs);
    end_infeasible("no network trained to the end meets " +
                   (has_target() ? "the target of " + in_words(average, target) + " on average"
                                 : "the limits on averages") +
                   "; the nearest is " + nearest->model + " with " + in_words(average, cost(*nearest)) +
                   ": raise --target-" + (timed ? "latency-us" : "macs") + " or the limits");
  }

  Exec& exec_;
  const SearchRequest& request_;
  const SearchConfig& config_;
  std::vector<Objective> objectives_;
  const Watch& watch_;
  RunPaths paths_;
  Store store_;
  Space space_;
  data::Splits splits_;
  data::Normalisation normalisation_;
  std::optional<Supernet> supernet_;   // where any network starts from its weights
  std::optional<RunLatency> latency_;  // where latency is an objective, a limit or a column
  CandidateEvaluator evaluator_;
  GenerationEvaluator generation_;
  Front front_;
  std::set<i64> meeting_target_;        // ids
  std::vector<GenerationRecord> rows_;  // that an earlier part of the run has left, by generation
  i64 evaluated_ = 0, failed_ = 0;
  double hypervolume_ = 0;
};

}  // namespace

SearchResult continue_run(Exec& exec, const SearchRequest& request, const Watch& watch) {
  return Run(exec, request, watch).run();
}

}  // namespace offramp::nas
