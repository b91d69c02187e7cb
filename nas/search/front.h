// The non-dominated candidates among all seen so far, and the ones worth pointing at.
#pragma once
#include <span>
#include <vector>

#include "nas/search/candidate.h"

namespace offramp::nas {

struct FrontPoint {
  i64 id;
  std::vector<double> objectives;
  friend bool operator==(const FrontPoint&, const FrontPoint&) = default;
};

class Front {
 public:
  // Takes the candidate in if nobody dominates it, and drops whom it dominates; failed and infeasible ones
  // never enter, nor do those that were not trained as long as any. Of equal objectives the lowest id stays,
  // so that the order of insertion does not matter. True if taken.
  bool insert(i64 id, const Outcome& outcome);

  // By first objective, then the second, ...; no two have equal objectives.
  const std::vector<FrontPoint>& points() const { return points_; }
  std::vector<std::vector<double>> objectives() const;

 private:
  std::vector<FrontPoint> points_;
};

// The point of a front farthest below the plane through its extremes: every objective is scaled to [0,1] over
// the front, and the smallest sum wins; ties go to the lower first objective, then to the lower id. With two
// objectives that is the largest distance to the line between the ends of the front, on the side of the ideal
// point. Null for an empty front.
const FrontPoint* front_knee(std::span<const FrontPoint> front);

// Lowest objectives[0] with objectives[limited] <= limit; ties by objectives[limited], then id. Null when
// none fits.
const FrontPoint* best_under(std::span<const FrontPoint> front, std::size_t limited, double limit);

}  // namespace offramp::nas
