// The mean of many regression trees, each grown to the end on a random part of the inputs.
// Source: Breiman et al. 1984 (CART, squared error); Ho 1998 (random subspaces). Integers and additions
// decide the splits, no libm.
#pragma once
#include "kernels/rng.h"
#include "nas/surrogate/regressor.h"

namespace offramp::nas {

struct TreeEnsembleOptions {
  i64 trees = 1000;
  i32 inputs_percent = 50;  // of the inputs that vary, seen by a tree; at least one
  i64 max_depth = 0;        // 0: no limit
  i64 min_leaf = 1;         // samples in a leaf
  u64 seed = 0;
};

class TreeEnsemble : public Regressor {
 public:
  // Throws Error(usage) on options that make no sense.
  explicit TreeEnsemble(const TreeEnsembleOptions& options = {});
  std::string_view name() const override { return "carts"; }

 private:
  struct Node {
    i32 input;      // -1: a leaf
    i32 low, high;  // nodes of the same tree
    double value;   // left when x[input] <= value; of a leaf the mean
  };
  struct Levels;
  struct Growing;
  void learn(Exec& exec, const Matrix& x, std::span<const double> y, const Watch& watch) override;
  std::vector<Estimate> answer(Exec& exec, const Matrix& x, bool spread) const override;
  std::vector<Node> grow(const Levels& levels, std::span<const double> y, Rng& rng) const;

  TreeEnsembleOptions options_;
  std::vector<std::vector<Node>> trees_;
};

}  // namespace offramp::nas
