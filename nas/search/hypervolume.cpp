#include "nas/search/hypervolume.h"

#include <algorithm>
#include <string>

#include "kernels/error.h"

namespace offramp::nas {
namespace {

using Point = std::vector<double>;

void require_sizes(std::span<const Point> points, std::size_t objectives) {
  if (objectives == 0) throw usage_error("hypervolume: wanted at least one objective, got none");
  for (const Point& p : points)
    if (p.size() != objectives)
      throw usage_error("hypervolume: got a point with " + std::to_string(p.size()) + " objectives; wanted " +
                        std::to_string(objectives));
}

// Points are sorted in ascending order of the first `dims` objectives taken backwards (last one first).
bool by_last_first(const Point& a, const Point& b, std::size_t dims) {
  for (std::size_t m = dims; m-- > 0;)
    if (a[m] != b[m]) return a[m] < b[m];
  return false;
}

// Area below `reference` in the first two objectives.
double area(std::vector<Point>& points, std::span<const double> reference) {
  std::sort(points.begin(), points.end(),
            [](const Point& a, const Point& b) { return a[0] != b[0] ? a[0] < b[0] : a[1] < b[1]; });
  double sum = 0, top = reference[1];
  for (const Point& p : points) {
    if (p[1] >= top) continue;
    sum += (reference[0] - p[0]) * (top - p[1]);
    top = p[1];
  }
  return sum;
}

double volume(std::vector<Point> points, std::span<const double> reference, std::size_t dims) {
  if (points.empty()) return 0;
  if (dims == 1) {
    double best = points[0][0];
    for (const Point& p : points) best = std::min(best, p[0]);
    return reference[0] - best;
  }
  if (dims == 2) return area(points, reference);
  std::sort(points.begin(), points.end(),
            [&](const Point& a, const Point& b) { return by_last_first(a, b, dims); });
  double sum = 0;
  std::vector<Point> slice;
  for (std::size_t i = 0; i < points.size(); ++i) {
    slice.push_back(points[i]);
    const double below = points[i][dims - 1];
    const double above = i + 1 < points.size() ? points[i + 1][dims - 1] : reference[dims - 1];
    if (above > below) sum += volume(slice, reference, dims - 1) * (above - below);
  }
  return sum;
}

}  // namespace

double hypervolume(std::span<const Point> points, std::span<const double> reference) {
  require_sizes(points, reference.size());
  std::vector<Point> inside;
  for (const Point& p : points) {
    bool below = true;
    for (std::size_t m = 0; m < reference.size(); ++m) below &= p[m] < reference[m];
    if (below) inside.push_back(p);
  }
  return volume(std::move(inside), reference, reference.size());
}

double normalised_hypervolume(std::span<const Point> points, std::span<const double> ideal,
                              std::span<const double> reference) {
  require_sizes(points, reference.size());
  for (std::size_t m = 0; m < reference.size(); ++m)
    if (ideal.size() != reference.size() || !(ideal[m] < reference[m]))
      throw usage_error("hypervolume: the ideal point must lie below the reference in objective " +
                        std::to_string(m));
  std::vector<Point> scaled(points.begin(), points.end());
  for (Point& p : scaled)
    for (std::size_t m = 0; m < p.size(); ++m)
      p[m] = std::max(0.0, (p[m] - ideal[m]) / (reference[m] - ideal[m]));
  return hypervolume(scaled, std::vector<double>(reference.size(), 1.0));
}

std::vector<double> reference_point(std::span<const Point> points, double factor) {
  if (points.empty()) throw usage_error("reference point: wanted at least one point, got none");
  require_sizes(points, points[0].size());
  Point worst = points[0];
  for (const Point& p : points)
    for (std::size_t m = 0; m < p.size(); ++m) worst[m] = std::max(worst[m], p[m]);
  for (double& w : worst) w *= factor;
  return worst;
}

}  // namespace offramp::nas
