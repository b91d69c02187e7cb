// NSGA-III over integer genes, for three objectives and more: inside the last rank that does not fit as a
// whole, those survive that fill the directions along which the population is thinnest.
// Source: Deb & Jain 2014, parts I and II (constraints). Additions, products and comparisons alone, no libm.
#pragma once
#include "nas/search/genetic.h"

namespace offramp::nas {

// Points with non-negative integer coordinates that sum up to `divisions`: C(objectives - 1 + divisions,
// divisions) of them, in lexicographic order. Source: Das & Dennis 1998.
std::vector<std::vector<i32>> simplex_lattice(i64 objectives, i64 divisions);

struct Nsga3Options : GeneticOptions {
  i64 divisions = 0;  // of the lattice of directions; 0: as many as give no more directions than members
};

class Nsga3 : public GeneticSampler {
 public:
  // Throws Error on options that make no sense (see GeneticSampler).
  Nsga3(GeneSpace space, Nsga3Options options);

 private:
  std::vector<std::size_t> survivors(std::span<const Outcome> pool, i64 count, Rng& rng) override;
  std::size_t winner(std::size_t a, std::size_t b) const override;
  void learn_scale(const std::vector<std::vector<double>>& points, std::size_t first_rank);
  std::vector<double> scaled(const std::vector<double>& point) const;

  i64 divisions_;
  std::vector<std::vector<i32>> directions_;
  std::vector<double> ideal_;                  // lowest value of each objective ever seen
  std::vector<std::vector<double>> extremes_;  // per objective the point nearest to its axis ever seen
  std::vector<double> intercepts_;             // of the plane through the extremes, above the ideal point
};

}  // namespace offramp::nas
