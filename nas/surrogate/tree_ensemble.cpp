#include "nas/surrogate/tree_ensemble.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "kernels/error.h"
#include "kernels/parallel.h"

namespace offramp::nas {

// Inputs as small integers: genes have a handful of values, so that a split is found by counting.
struct TreeEnsemble::Levels {
  std::vector<std::vector<double>> values;  // per input, ascending
  std::vector<std::vector<i32>> of;         // [input][sample], index into values
  std::vector<i32> varying;                 // inputs with two values or more

  explicit Levels(const Matrix& x) : values(std::size_t(x.cols)), of(std::size_t(x.cols)) {
    for (i64 j = 0; j < x.cols; ++j) {
      std::vector<double>& distinct = values[std::size_t(j)];
      for (i64 i = 0; i < x.rows; ++i) distinct.push_back(x.at(i, j));
      std::sort(distinct.begin(), distinct.end());
      distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
      for (i64 i = 0; i < x.rows; ++i)
        of[std::size_t(j)].push_back(
            i32(std::lower_bound(distinct.begin(), distinct.end(), x.at(i, j)) - distinct.begin()));
      if (distinct.size() > 1) varying.push_back(i32(j));
    }
  }
};

// One tree under construction: samples_[begin, end) belong to the node at hand.
struct TreeEnsemble::Growing {
  struct Cell {
    double sum, count;  // together one addition of two lanes
  };
  struct Split {
    i32 input = -1, level = 0;                               // low: up to this level
    double gain = -std::numeric_limits<double>::infinity();  // any split is better than none
  };

  const TreeEnsembleOptions& options;
  const Levels& levels;
  std::span<const double> y;
  std::vector<i32> inputs;  // those the tree sees, ascending
  std::vector<i32> samples;
  std::vector<Node> nodes = {};
  std::vector<i32> level_of = {};  // [sample][position in inputs], as an index into cells
  std::vector<i32> first_cell = {};
  std::vector<Cell> cells = {};  // sums over the samples of one node, per input and level

  void prepare() {
    first_cell.assign(1, 0);
    for (i32 input : inputs)
      first_cell.push_back(first_cell.back() + i32(levels.values[std::size_t(input)].size()));
    cells.resize(std::size_t(first_cell.back()));
    level_of.reserve(y.size() * inputs.size());
    for (std::size_t sample = 0; sample < y.size(); ++sample)
      for (std::size_t k = 0; k < inputs.size(); ++k)
        level_of.push_back(first_cell[k] + levels.of[std::size_t(inputs[k])][sample]);
  }

  const i32* levels_of_sample(i64 s) const {
    return level_of.data() + std::size_t(samples[std::size_t(s)]) * inputs.size();
  }

  // Every input that tells two samples apart is as good as any other.
  Split split_of_two(i64 begin) const {
    const i32 *a = levels_of_sample(begin), *b = levels_of_sample(begin + 1);
    for (std::size_t k = 0; k < inputs.size(); ++k)
      if (a[k] != b[k]) return {inputs[k], std::min(a[k], b[k]) - first_cell[k], 0};
    return {};
  }

  Split best_split(i64 begin, i64 end, double sum) {
    const i64 least = options.min_leaf;
    if (end - begin == 2 && least == 1) return split_of_two(begin);
    const double n = double(end - begin), without = sum * sum / n;
    std::fill(cells.begin(), cells.end(), Cell{0, 0});
    for (i64 s = begin; s < end; ++s) {
      const i32* at = levels_of_sample(s);
      const double value = y[std::size_t(samples[std::size_t(s)])];
      for (std::size_t k = 0; k < inputs.size(); ++k) {
        Cell& cell = cells[std::size_t(at[k])];
        cell.sum += value;
        cell.count += 1;
      }
    }
    Split best;
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      Cell low{0, 0};
      for (i32 c = first_cell[k]; c + 1 < first_cell[k + 1]; ++c) {
        const Cell& cell = cells[std::size_t(c)];
        if (cell.count == 0) continue;
        low.sum += cell.sum;
        low.count += cell.count;
        const double high = n - low.count;
        if (high < double(least) || high == 0) break;
        if (low.count < double(least)) continue;
        const double rest = sum - low.sum;
        const double gain = low.sum * low.sum / low.count + rest * rest / high - without;
        if (gain > best.gain) best = {inputs[k], c - first_cell[k], gain};
      }
    }
    return best;
  }

  // The threshold lies midway between the values that the split separates among these samples.
  double threshold(const Split& split, i64 begin, i64 end) const {
    const std::vector<i32>& level = levels.of[std::size_t(split.input)];
    const std::vector<double>& values = levels.values[std::size_t(split.input)];
    i32 above = i32(values.size()) - 1;
    for (i64 s = begin; s < end; ++s) {
      const i32 at = level[std::size_t(samples[std::size_t(s)])];
      if (at > split.level) above = std::min(above, at);
    }
    return (values[std::size_t(split.level)] + values[std::size_t(above)]) / 2;
  }

  i32 grow(i64 begin, i64 end, i64 depth) {
    double sum = 0, low = y[std::size_t(samples[std::size_t(begin)])], high = low;
    for (i64 s = begin; s < end; ++s) {
      const double value = y[std::size_t(samples[std::size_t(s)])];
      sum += value;
      low = std::min(low, value);
      high = std::max(high, value);
    }
    const i32 index = i32(nodes.size());
    nodes.push_back({-1, 0, 0, sum / double(end - begin)});
    if (low == high || (options.max_depth > 0 && depth == options.max_depth)) return index;
    const Split split = best_split(begin, end, sum);
    if (split.input < 0) return index;
    const double at = threshold(split, begin, end);
    const std::vector<i32>& level = levels.of[std::size_t(split.input)];
    const auto middle =
        std::stable_partition(samples.begin() + begin, samples.begin() + end,
                              [&](i32 sample) { return level[std::size_t(sample)] <= split.level; });
    const i64 border = middle - samples.begin();
    const i32 left = grow(begin, border, depth + 1), right = grow(border, end, depth + 1);
    nodes[std::size_t(index)] = {split.input, left, right, at};
    return index;
  }
};

TreeEnsemble::TreeEnsemble(const TreeEnsembleOptions& options) : options_(options) {
  if (options.trees < 1 || options.inputs_percent < 1 || options.inputs_percent > 100 ||
      options.max_depth < 0 || options.min_leaf < 1)
    throw usage_error(
        "surrogate carts: wanted trees >= 1, inputs_percent 1 to 100, max_depth >= 0 and "
        "min_leaf >= 1");
}

std::vector<TreeEnsemble::Node> TreeEnsemble::grow(const Levels& levels, std::span<const double> y,
                                                   Rng& rng) const {
  Growing tree{.options = options_, .levels = levels, .y = y, .inputs = levels.varying, .samples = {}};
  // The first part of a random order, back in ascending order, so that ties go to the first input.
  const std::size_t all = tree.inputs.size();
  const std::size_t seen = (all * std::size_t(options_.inputs_percent) + 99) / 100;
  for (std::size_t i = 0; i < seen; ++i) std::swap(tree.inputs[i], tree.inputs[i + rng.below(u32(all - i))]);
  tree.inputs.resize(seen);
  std::sort(tree.inputs.begin(), tree.inputs.end());
  tree.samples.resize(y.size());
  std::iota(tree.samples.begin(), tree.samples.end(), 0);
  tree.prepare();
  tree.grow(0, i64(y.size()), 0);
  return std::move(tree.nodes);
}

void TreeEnsemble::learn(Exec& exec, const Matrix& x, std::span<const double> y, const Watch& watch) {
  const Levels levels(x);
  trees_.assign(std::size_t(options_.trees), {});
  parallel_for(exec, options_.trees, 16, [&](i64 begin, i64 end, int) {
    for (i64 t = begin; t < end && !watch.stop_requested(); ++t) {
      Rng rng = Rng(options_.seed).derive(u64(t));
      trees_[std::size_t(t)] = grow(levels, y, rng);
    }
  });
  watch.check();
}

std::vector<Estimate> TreeEnsemble::answer(Exec& exec, const Matrix& x, bool) const {
  std::vector<Estimate> out(static_cast<std::size_t>(x.rows));
  parallel_for(exec, x.rows, 8, [&](i64 begin, i64 end, int) {
    std::vector<double> leaves(trees_.size());
    for (i64 i = begin; i < end; ++i) {
      double sum = 0, squares = 0;
      for (std::size_t t = 0; t < trees_.size(); ++t) {
        const Node* node = trees_[t].data();
        while (node->input >= 0)
          node = trees_[t].data() + (x.at(i, node->input) <= node->value ? node->low : node->high);
        sum += leaves[t] = node->value;
      }
      const double mean = sum / double(trees_.size());
      for (double leaf : leaves) squares += (leaf - mean) * (leaf - mean);
      out[std::size_t(i)] = {mean, std::sqrt(squares / double(trees_.size()))};
    }
  });
  return out;
}

}  // namespace offramp::nas
