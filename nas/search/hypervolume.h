// Volume of what a front dominates below a reference point: one number for the quality of a front,
// minimisation.
#pragma once
#include <span>
#include <vector>

#include "kernels/types.h"

namespace offramp::nas {

// Exact. `points` need not be non-dominated or sorted, and their order does not change a bit of the result;
// those not below the reference in every objective count nothing. Throws Error when sizes differ or there is
// no objective. Two objectives: a sweep, O(n log n). More: slices along the last objective, O(n^(m-1)), meant
// for small m. Source: While et al. 2006, "A faster algorithm for calculating hypervolume" (slicing
// objectives).
double hypervolume(std::span<const std::vector<double>> points, std::span<const double> reference);

// The same with objectives scaled so that ideal -> 0 and reference -> 1: a share of the box between them.
// Points beyond the ideal are clamped to it.
double normalised_hypervolume(std::span<const std::vector<double>> points, std::span<const double> ideal,
                              std::span<const double> reference);

// factor x the worst of each objective: the usual reference from an initial design.
std::vector<double> reference_point(std::span<const std::vector<double>> points, double factor = 1.01);

}  // namespace offramp::nas
