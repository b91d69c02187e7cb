// What a search knows of genotypes it has not evaluated: one regressor per learned quantity (error, exit
// shares, ...), fitted to the canonical genes of those it has.
#pragma once
#include <memory>
#include <string>

#include "nas/search/genes.h"
#include "nas/surrogate/adaptive.h"

namespace offramp::nas {

struct SurrogateOptions {
  std::string kind = "as";  // surrogate_kinds()
  // The published searches learn from indices and from values as they are, errors in percent and costs in
  // millions.
  bool raw_inputs = false;  // genes as the indices they are; else scaled to [0,1] by their number of choices
  std::vector<double> units;  // of the values by target; empty: scaled to mean 0 and deviation 1
  u64 seed = 0;
  i64 mlp_epochs = 2000;
};

std::vector<std::string> surrogate_kinds();  // "rbf", "gp", "carts", "mlp", "as" = best of the first three

// Throws Error(usage) for an unknown kind.
std::unique_ptr<Regressor> make_regressor(const std::string& kind, u64 seed, i64 mlp_epochs = 2000);

class Surrogate {
 public:
  // Throws Error(usage) for an unknown kind or an impossible space.
  Surrogate(std::vector<i32> choices, SurrogateOptions options);

  // values[target][sample]. Throws Error(usage) when sizes do not match (see Regressor::fit), units included,
  // Error when a model cannot be fitted, Error(interrupted) when `watch` wants to stop.
  void fit(Exec& exec, std::span<const Genotype> genotypes, const std::vector<std::vector<double>>& values,
           const Watch& watch = {});
  // [target][genotype]
  std::vector<std::vector<Estimate>> predict(Exec& exec, std::span<const Genotype> genotypes,
                                             bool spread = true) const;

  struct Report {
    std::string kind;                         // of the model that answers
    std::vector<CrossValidation> validation;  // of all that were tried; empty when nothing was chosen
  };
  std::vector<Report> reports() const;  // of the last fit, per target

 private:
  Matrix inputs_of(std::span<const Genotype> genotypes) const;

  struct Target {
    std::unique_ptr<Regressor> model;
    double mean = 0, scale = 1;  // of values in those the model learned: (value - mean) / scale
  };
  std::vector<i32> choices_;
  SurrogateOptions options_;
  std::vector<Target> targets_;
};

}  // namespace offramp::nas
