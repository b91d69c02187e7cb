#include "nas/latency/cover.h"

#include <algorithm>
#include <queue>

#include "nas/latency/predict.h"
#include "nas/latency/timed_network.h"
#include "nas/seeds.h"

namespace offramp::nas {
namespace {

struct Seen {
  Genotype genotype;
  std::vector<int> keys;  // each once
};

class Explorer {
 public:
  Explorer(const Space& space, const Task& task, const LatencyTable& table, const CoverOptions& options)
      : space_(space), task_(task), table_(table), options_(options) {}

  void explore(const Watch& watch) {
    for (const Genotype& g : options_.start) look(space_.canonical(g));
    for (int& count : met_) count = 0;  // what only `start` has is still to be looked for elsewhere
    Rng rng(stream_seed(options_.seed, "latency cover"));
    i64 quiet = 0;
    for (i64 i = 0; i < options_.most && quiet < options_.patience; ++i) {
      if (i % 64 == 0) {
        watch.check();
        watch.progress({.phase = "keys of " + space_.name(),
                        .done = i,
                        .total = options_.most,
                        .unit = "network",
                        .best = std::to_string(ids_.size()) + " keys"});
      }
      const bool mutate = !fertile_.empty() && (options_.only_start || rng.below(2) == 0);
      quiet = look(mutate ? changed(seen_[fertile_[rng.below(u32(fertile_.size()))]].genotype, rng)
                          : space_.sample(rng))
                  ? 0
                  : quiet + 1;
    }
  }

  Cover choose() const {
    std::vector<i64> wanted(ids_.size());
    Cover cover{.keys = i64(ids_.size())};
    for (const auto& [key, id] : ids_) {
      const LatencyEntry* entry = table_.find(key.first, key.second);
      wanted[std::size_t(id)] = std::max<i64>(options_.each - (entry ? i64(entry->observed.size()) : 0), 0);
      cover.known += wanted[std::size_t(id)] == 0;
    }
    const auto gain = [&](const Seen& s) {
      return std::count_if(s.keys.begin(), s.keys.end(), [&](int id) { return wanted[std::size_t(id)] > 0; });
    };
    const std::set<Genotype> start(options_.start.begin(), options_.start.end());
    for (const bool starting : {false, true}) {
      // Gains only fall, so the top of the queue is chosen when its gain, counted anew, is still the largest.
      std::priority_queue<std::pair<i64, i64>> queue;
      for (std::size_t i = 0; i < seen_.size(); ++i)
        if ((start.count(seen_[i].genotype) > 0) == starting) queue.emplace(gain(seen_[i]), -i64(i));
      while (!queue.empty() && queue.top().first > 0) {
        const auto [believed, at] = queue.top();
        queue.pop();
        const Seen& s = seen_[std::size_t(-at)];
        const i64 now = gain(s);
        if (now < believed) {
          if (now > 0) queue.emplace(now, at);
          continue;
        }
        cover.networks.push_back(s.genotype);
        for (int id : s.keys) wanted[std::size_t(id)] -= wanted[std::size_t(id)] > 0;
      }
    }
    return cover;
  }

 private:
  // True when the network has a key that was met less often than wanted.
  bool look(const Genotype& genotype) {
    if ((space_.exits() > 0 && !space_.any_exit_on(genotype)) || !looked_.insert(genotype).second)
      return false;
    std::set<LatencyTable::Key> keys;
    for (LatencyTable::Key& key : latency_keys(table_.machine(), *plan_of(space_, genotype, task_, false)))
      keys.insert(std::move(key));
    Seen seen{genotype, {}};
    const bool starting = i64(looked_.size()) <= i64(options_.start.size());
    bool fertile = false, fresh = false;
    for (const LatencyTable::Key& key : keys) {
      if (options_.only_start && !starting && !ids_.count(key)) continue;
      const auto [at, is_new] = ids_.emplace(key, int(ids_.size()));
      if (is_new) met_.push_back(0);
      int& met = met_[std::size_t(at->second)];
      fresh |= met == 0;
      fertile |= met < 2 * options_.each;
      ++met;
      seen.keys.push_back(at->second);
    }
    if (fertile || starting) fertile_.push_back(u32(seen_.size()));
    seen_.push_back(std::move(seen));
    return fresh;
  }

  Genotype changed(Genotype genes, Rng& rng) const {
    for (u32 i = 1 + rng.below(4); i > 0; --i) {
      const std::size_t at = rng.below(u32(genes.size()));
      genes[at] = i32(rng.below(u32(space_.genes()[at].values.size())));
    }
    return space_.canonical(genes);
  }

  const Space& space_;
  const Task& task_;
  const LatencyTable& table_;
  const CoverOptions& options_;
  std::map<LatencyTable::Key, int> ids_;
  std::vector<int> met_;  // networks with the key, by id
  std::vector<Seen> seen_;
  std::set<Genotype> looked_;
  std::vector<u32> fertile_;  // of seen_: those with a rare key
};

}  // namespace

Cover cover_space(const Space& space, const Task& task, const LatencyTable& table,
                  const CoverOptions& options, const Watch& watch) {
  Explorer explorer(space, task, table, options);
  explorer.explore(watch);
  return explorer.choose();
}

}  // namespace offramp::nas
