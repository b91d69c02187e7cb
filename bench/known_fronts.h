// Multi-objective problems over integer genes whose fronts are known, for tests and benchmarks of samplers.
// Source: Zitzler, Deb & Thiele 2000 (ZDT); Deb et al. 2002 (DTLZ), on grids of integers.
#pragma once
#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "nas/search/candidate.h"

namespace offramp::bench {

struct KnownFront {
  nas::GeneSpace space;
  std::function<std::vector<double>(const nas::Genotype&)> objectives;
  std::vector<std::vector<double>> front;
  std::vector<double> reference;  // worse than anything the problem has

  nas::Outcome operator()(const nas::Genotype& genes) const { return nas::Scored{objectives(genes)}; }
};

// How far gene i >= first lies from its best value, 0..1: best values differ from gene to gene.
inline double gene_distance(const nas::Genotype& genes, std::size_t i, i32 choices) {
  const i32 best = i32((i * 5 + 2) % std::size_t(choices));
  return double(std::abs(genes[i] - best)) / double(std::max(best, choices - 1 - best));
}

// Gene 0 goes along the front, the others `genes` - 1 only away from it. power 1/2: ZDT1, convex; 2: ZDT2,
// concave. coupling: share of the distance that comes from products of neighbours' distances.
inline KnownFront zdt(i64 genes, i32 choices, double power, double coupling = 0) {
  constexpr i32 kAlong = 64;
  KnownFront p;
  p.space.choices.assign(std::size_t(genes), choices);
  p.space.choices[0] = kAlong;
  p.objectives = [=](const nas::Genotype& x) {
    double single = 0, pairs = 0;
    for (std::size_t i = 1; i < x.size(); ++i) {
      const std::size_t next = i + 1 < x.size() ? i + 1 : 1;
      const double distance = gene_distance(x, i, choices);
      single += distance;
      pairs += distance * gene_distance(x, next, choices);
    }
    const double g = 1 + 9 * ((1 - coupling) * single + coupling * pairs) / double(genes - 1);
    const double f1 = double(x[0]) / (kAlong - 1);
    return std::vector<double>{f1, g * (1 - std::pow(f1 / g, power))};
  };
  for (i32 i = 0; i < kAlong; ++i) {
    const double f1 = double(i) / (kAlong - 1);
    p.front.push_back({f1, 1 - std::pow(f1, power)});
  }
  p.reference = {1.1, 11};
  return p;
}

// Three objectives: genes 0 and 1 are angles, the others the distance from the sphere of radius 1.
inline KnownFront dtlz2(i64 genes, i32 angles, i32 choices) {
  KnownFront p;
  p.space.choices.assign(std::size_t(genes), choices);
  p.space.choices[0] = p.space.choices[1] = angles;
  const auto on_sphere = [angles](i32 a, i32 b, double radius) {
    const double quarter = 1.57079632679489662, u = quarter * a / (angles - 1),
                 v = quarter * b / (angles - 1);
    return std::vector<double>{radius * std::cos(u) * std::cos(v), radius * std::cos(u) * std::sin(v),
                               radius * std::sin(u)};
  };
  p.objectives = [=](const nas::Genotype& x) {
    double g = 0;
    for (std::size_t i = 2; i < x.size(); ++i) {
      const double distance = gene_distance(x, i, choices) / 2;
      g += distance * distance;
    }
    return on_sphere(x[0], x[1], 1 + g);
  };
  for (i32 a = 0; a < angles; ++a)
    for (i32 b = 0; b < angles; ++b) p.front.push_back(on_sphere(a, b, 1));
  p.reference = {4, 4, 4};
  return p;
}

}  // namespace offramp::bench
