#include "nas/search/subset.h"

#include <algorithm>
#include <numeric>

#include "kernels/error.h"
#include "nas/search/hypervolume.h"

namespace offramp::nas {
namespace {

using Subset = std::vector<std::size_t>;  // ascending

// Variance of the distances between neighbours: what has the same order as their standard deviation.
double gap_variance(std::vector<double> places) {
  std::sort(places.begin(), places.end());
  const double gaps = double(places.size()) - 1;
  if (gaps < 1) return 0;
  const double mean = (places.back() - places.front()) / gaps;
  double sum = 0;
  for (std::size_t i = 1; i < places.size(); ++i) {
    const double off = places[i] - places[i - 1] - mean;
    sum += off * off;
  }
  return sum / gaps;
}

// `count` of `from`, which is put in a random order.
Subset some_of(std::vector<std::size_t> from, std::size_t count, Rng& rng) {
  for (std::size_t i = 0; i < count; ++i) std::swap(from[i], from[i + rng.below(u32(from.size() - i))]);
  from.resize(count);
  return from;
}

// What both parents have, filled up with what one of them has; then, every other time, one member exchanged
// for a candidate that was not in.
Subset child_of(const Subset& a, const Subset& b, std::size_t candidates, Rng& rng) {
  Subset child, either;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(child));
  std::set_symmetric_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(either));
  for (std::size_t i : some_of(std::move(either), a.size() - child.size(), rng)) child.push_back(i);
  std::sort(child.begin(), child.end());
  if (rng.below(2) == 0) {
    std::size_t other = rng.below(u32(candidates - child.size()));
    for (std::size_t member : child) other += other >= member;  // the other-th candidate not in the child
    child[rng.below(u32(child.size()))] = other;
    std::sort(child.begin(), child.end());
  }
  return child;
}

}  // namespace

std::vector<std::size_t> select_by_gaps(std::span<const std::vector<double>> front,
                                        std::span<const std::vector<double>> candidates, i64 count, Rng rng,
                                        const GapSubsetOptions& options) {
  std::vector<std::size_t> all(candidates.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  if (count >= i64(all.size())) return all;
  if (count <= 0) return {};
  if (options.population < 2 || options.generations < 0)
    throw usage_error("subset: a population of 2 or more wanted, got " + std::to_string(options.population));
  struct Member {
    Subset subset;
    double variance;
  };
  const auto judged = [&](Subset subset) {
    std::vector<double> places;
    for (const auto& p : front) places.push_back(p.at(options.objective));
    for (std::size_t i : subset) places.push_back(candidates[i].at(options.objective));
    const double variance = gap_variance(std::move(places));
    return Member{std::move(subset), variance};
  };
  std::vector<Member> members;
  for (i64 i = 0; i < options.population; ++i) {
    Subset subset = some_of(all, std::size_t(count), rng);
    std::sort(subset.begin(), subset.end());
    members.push_back(judged(std::move(subset)));
  }
  const auto better = [](const Member& a, const Member& b) { return a.variance < b.variance; };
  std::stable_sort(members.begin(), members.end(), better);
  const u32 n = u32(options.population);
  for (i64 generation = 0; generation < options.generations; ++generation) {
    for (i64 i = 0; i < options.population; ++i) {  // members are in order: the lower position wins
      const std::size_t a = std::min(rng.below(n), rng.below(n)), b = std::min(rng.below(n), rng.below(n));
      members.push_back(judged(child_of(members[a].subset, members[b].subset, all.size(), rng)));
    }
    std::stable_sort(members.begin(), members.end(), better);
    // Equal subsets would take over the population.
    std::vector<Member> kept;
    std::vector<Member> doubles;
    for (Member& m : members) {
      const bool known = std::any_of(kept.rbegin(), kept.rend(), [&](const Member& k) {
        return k.variance == m.variance && k.subset == m.subset;
      });
      (known ? doubles : kept).push_back(std::move(m));
    }
    for (Member& m : doubles) kept.push_back(std::move(m));
    kept.resize(std::size_t(options.population));
    members = std::move(kept);
    std::stable_sort(members.begin(), members.end(), better);
  }
  return members[0].subset;
}

std::vector<std::size_t> select_by_hypervolume(std::span<const std::vector<double>> front,
                                               std::span<const std::vector<double>> candidates, i64 count) {
  std::vector<std::size_t> chosen;
  if (candidates.empty() || count <= 0) return chosen;
  std::vector<double> low = candidates[0], high = low;
  for (const auto& points : {front, candidates})
    for (const auto& p : points)
      for (std::size_t m = 0; m < low.size(); ++m) {
        low[m] = std::min(low[m], p.at(m));
        high[m] = std::max(high[m], p.at(m));
      }
  const auto scaled = [&](const std::vector<double>& p) {
    std::vector<double> out(p.size());
    for (std::size_t m = 0; m < p.size(); ++m)
      out[m] = high[m] > low[m] ? (p[m] - low[m]) / (high[m] - low[m]) : 0;
    return out;
  };
  const std::vector<double> reference(low.size(), 1.1);
  std::vector<std::vector<double>> known;
  for (const auto& p : front) known.push_back(scaled(p));
  std::vector<bool> taken(candidates.size(), false);
  while (i64(chosen.size()) < std::min(count, i64(candidates.size()))) {
    std::size_t best = candidates.size();
    double most = -1;
    known.emplace_back();
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      if (taken[i]) continue;
      known.back() = scaled(candidates[i]);
      const double volume = hypervolume(known, reference);
      if (volume > most) most = volume, best = i;
    }
    known.back() = scaled(candidates[best]);
    taken[best] = true;
    chosen.push_back(best);
  }
  return chosen;
}

}  // namespace offramp::nas
