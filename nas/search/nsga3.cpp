#include "nas/search/nsga3.h"

#include <algorithm>
#include <limits>

#include "kernels/error.h"
#include "nas/search/dominance.h"
#include "nas/surrogate/solve.h"

namespace offramp::nas {
namespace {

constexpr double kOffAxis = 1e6;    // weight of the other objectives in the distance to an axis
constexpr double kNoExtent = 1e-9;  // an objective in which the front does not differ is not scaled
constexpr i64 kMostDirections = 1 << 20;

// Greatest weighted objective of `f` (above the ideal point), all but one axis weighted up.
double distance_to_axis(const std::vector<double>& f, std::size_t axis) {
  double most = 0;
  for (std::size_t m = 0; m < f.size(); ++m) most = std::max(most, m == axis ? f[m] : kOffAxis * f[m]);
  return most;
}

// C(objectives - 1 + divisions, objectives - 1), cut off at kMostDirections.
i64 lattice_size(i64 objectives, i64 divisions) {
  i64 size = 1;
  for (i64 i = 1; i < objectives; ++i) {
    size = size * (divisions + i) / i;
    if (size > kMostDirections) return kMostDirections + 1;
  }
  return size;
}

void lattice(i64 objectives, i32 left, std::vector<i32>& begun, std::vector<std::vector<i32>>& out) {
  if (i64(begun.size()) == objectives - 1) {
    out.push_back(begun);
    out.back().push_back(left);
    return;
  }
  for (i32 part = 0; part <= left; ++part) {
    begun.push_back(part);
    lattice(objectives, left - part, begun, out);
    begun.pop_back();
  }
}

struct Place {
  std::size_t direction = 0;
  double distance = std::numeric_limits<double>::infinity();  // squared, to the line along the direction
};

Place place_of(const std::vector<double>& f, const std::vector<std::vector<i32>>& directions) {
  double length = 0;
  for (double v : f) length += v * v;
  Place best;
  for (std::size_t d = 0; d < directions.size(); ++d) {
    double along = 0, norm = 0;
    for (std::size_t m = 0; m < f.size(); ++m) {
      along += f[m] * directions[d][m];
      norm += double(directions[d][m]) * directions[d][m];
    }
    const double distance = length - along * along / norm;
    if (distance < best.distance) best = {d, distance};
  }
  return best;
}

}  // namespace

std::vector<std::vector<i32>> simplex_lattice(i64 objectives, i64 divisions) {
  if (objectives < 1 || divisions < 1 || lattice_size(objectives, divisions) > kMostDirections)
    throw usage_error("nsga3: " + std::to_string(divisions) + " divisions of " + std::to_string(objectives) +
                      " objectives; wanted 1 or more of each and at most 2^20 directions");
  std::vector<std::vector<i32>> out;
  std::vector<i32> begun;
  lattice(objectives, i32(divisions), begun, out);
  return out;
}

Nsga3::Nsga3(GeneSpace space, Nsga3Options options)
    : GeneticSampler(std::move(space), options), divisions_(options.divisions) {
  if (divisions_ < 0)
    throw usage_error("nsga3: divisions is " + std::to_string(divisions_) + "; wanted 0 or more");
}

// Positions are in order of rank, so that the feasible and the less infeasible come first; among the feasible
// any parent will do.
std::size_t Nsga3::winner(std::size_t a, std::size_t b) const {
  const bool both = feasible_objectives(candidates()[population()[a]].outcome) &&
                    feasible_objectives(candidates()[population()[b]].outcome);
  return both ? a : std::min(a, b);
}

std::vector<double> Nsga3::scaled(const std::vector<double>& point) const {
  std::vector<double> f(point.size());
  for (std::size_t m = 0; m < f.size(); ++m) f[m] = (point[m] - ideal_[m]) / intercepts_[m];
  return f;
}

// points: feasible, the first `first_rank` of them non-dominated.
void Nsga3::learn_scale(const std::vector<std::vector<double>>& points, std::size_t first_rank) {
  const std::size_t objectives = points[0].size();
  if (ideal_.empty()) ideal_ = points[0];
  for (const auto& p : points)
    for (std::size_t m = 0; m < objectives; ++m) ideal_[m] = std::min(ideal_[m], p[m]);
  const auto above_ideal = [&](const std::vector<double>& p) {
    std::vector<double> f(objectives);
    for (std::size_t m = 0; m < objectives; ++m) f[m] = p[m] - ideal_[m];
    return f;
  };
  // The extremes found so far compete with the new points.
  std::vector<std::vector<double>> rivals = extremes_;
  rivals.insert(rivals.end(), points.begin(), points.end());
  extremes_.clear();
  for (std::size_t axis = 0; axis < objectives; ++axis) {
    std::size_t best = 0;
    for (std::size_t i = 1; i < rivals.size(); ++i)
      if (distance_to_axis(above_ideal(rivals[i]), axis) < distance_to_axis(above_ideal(rivals[best]), axis))
        best = i;
    extremes_.push_back(rivals[best]);
  }
  // The plane sum_m f_m / intercept_m = 1 through the extremes; where it makes no sense, the worst values of
  // the non-dominated points.
  std::vector<double> worst(objectives, 0);
  for (std::size_t i = 0; i < first_rank; ++i) {
    const std::vector<double> f = above_ideal(points[i]);
    for (std::size_t m = 0; m < objectives; ++m) worst[m] = std::max(worst[m], f[m]);
  }
  const i64 size = i64(objectives);
  Matrix system(size, size);
  for (std::size_t axis = 0; axis < objectives; ++axis) {
    const std::vector<double> f = above_ideal(extremes_[axis]);
    std::copy(f.begin(), f.end(), system.row(i64(axis)));
  }
  intercepts_ = worst;
  if (const auto lu = Lu::of(std::move(system))) {
    const std::vector<double> inverse = lu->solve(std::vector<double>(objectives, 1.0));
    bool sound = true;
    for (double v : inverse) sound &= v > 0 && 1 / v > kNoExtent;
    for (std::size_t m = 0; sound && m < objectives; ++m) intercepts_[m] = 1 / inverse[m];
  }
  for (double& v : intercepts_)
    if (!(v > kNoExtent)) v = 1;
}

std::vector<std::size_t> Nsga3::survivors(std::span<const Outcome> pool, i64 count, Rng& rng) {
  const std::vector<std::vector<std::size_t>> ranks = non_dominated_sort(pool);
  const auto feasible = [&](std::size_t i) { return feasible_objectives(pool[i]) != nullptr; };
  std::vector<std::size_t> chosen, last;
  std::vector<std::vector<double>> points;  // of the feasible among those that may survive
  for (const std::vector<std::size_t>& rank : ranks) {
    if (i64(chosen.size()) == count) break;
    for (std::size_t i : rank)
      if (feasible(i)) points.push_back(*feasible_objectives(pool[i]));
    if (i64(chosen.size() + rank.size()) > count) {
      last = rank;
      break;
    }
    chosen.insert(chosen.end(), rank.begin(), rank.end());
  }
  if (!points.empty()) learn_scale(points, feasible(ranks[0][0]) ? ranks[0].size() : 0);
  if (last.empty()) return chosen;
  const std::size_t wanted = std::size_t(count) - chosen.size();
  if (!feasible(last[0])) {  // equally infeasible: in order of discovery
    chosen.insert(chosen.end(), last.begin(), last.begin() + i64(wanted));
    return chosen;
  }

  const i64 objectives = i64(ideal_.size());
  if (directions_.empty()) {
    i64 divisions = std::max<i64>(divisions_, 1);
    while (divisions_ == 0 && objectives > 1 &&
           lattice_size(objectives, divisions + 1) <= options().population)
      ++divisions;
    directions_ = simplex_lattice(objectives, divisions);
  }
  std::vector<i64> crowd(directions_.size(), 0);  // chosen members per direction
  for (std::size_t i : chosen)
    ++crowd[place_of(scaled(*feasible_objectives(pool[i])), directions_).direction];
  struct Waiting {
    std::size_t member;
    double distance;
  };
  std::vector<std::vector<Waiting>> waiting(directions_.size());
  for (std::size_t i : last) {
    const Place place = place_of(scaled(*feasible_objectives(pool[i])), directions_);
    waiting[place.direction].push_back({i, place.distance});
  }
  for (std::size_t k = 0; k < wanted; ++k) {
    // One of the thinnest directions that somebody waits for, at random.
    i64 fewest = std::numeric_limits<i64>::max();
    std::vector<std::size_t> thinnest;
    for (std::size_t d = 0; d < directions_.size(); ++d) {
      if (waiting[d].empty() || crowd[d] > fewest) continue;
      if (crowd[d] < fewest) thinnest.clear();
      fewest = crowd[d];
      thinnest.push_back(d);
    }
    const std::size_t d = thinnest[rng.below(u32(thinnest.size()))];
    // Its nearest member where the direction is empty, else any.
    std::vector<Waiting>& queue = waiting[d];
    const auto taken =
        crowd[d] == 0
            ? std::min_element(queue.begin(), queue.end(),
                               [](const Waiting& a, const Waiting& b) { return a.distance < b.distance; })
            : queue.begin() + rng.below(u32(queue.size()));
    chosen.push_back(taken->member);
    queue.erase(taken);
    ++crowd[d];
  }
  return chosen;
}

}  // namespace offramp::nas
