#include "nas/surrogate/surrogate.h"

#include <cmath>

#include "kernels/error.h"
#include "kernels/nearest.h"
#include "nas/seeds.h"
#include "nas/surrogate/gaussian_process.h"
#include "nas/surrogate/mlp.h"
#include "nas/surrogate/rbf.h"
#include "nas/surrogate/tasks.h"
#include "nas/surrogate/tree_ensemble.h"

namespace offramp::nas {

std::vector<std::string> surrogate_kinds() { return {"rbf", "gp", "carts", "mlp", "as"}; }

std::unique_ptr<Regressor> make_regressor(const std::string& kind, u64 seed, i64 mlp_epochs) {
  if (kind == "rbf") return std::make_unique<Rbf>();
  if (kind == "gp") return std::make_unique<GaussianProcess>();
  if (kind == "carts")
    return std::make_unique<TreeEnsemble>(TreeEnsembleOptions{.seed = stream_seed(seed, "carts")});
  if (kind == "mlp")
    return std::make_unique<Mlp>(MlpOptions{.epochs = mlp_epochs, .seed = stream_seed(seed, "mlp")});
  if (kind == "as") {
    std::vector<MakeRegressor> models;
    for (const char* name : {"rbf", "gp", "carts"})
      models.push_back([name, seed] { return make_regressor(name, seed); });
    return std::make_unique<Adaptive>(std::move(models), AdaptiveOptions{.seed = stream_seed(seed, "folds")});
  }
  const std::string near = nearest(kind, surrogate_kinds());
  throw usage_error(
      "unknown surrogate '" + kind + "'" +
      (near.empty() ? "; there are rbf, gp, carts, mlp and as" : ", did you mean '" + near + "'?"));
}

Surrogate::Surrogate(std::vector<i32> choices, SurrogateOptions options)
    : choices_(std::move(choices)), options_(std::move(options)) {
  require_gene_space({choices_, {}, {}});
  make_regressor(options_.kind, 0, options_.mlp_epochs);  // throws for an unknown kind
}

Matrix Surrogate::inputs_of(std::span<const Genotype> genotypes) const {
  Matrix x(i64(genotypes.size()), i64(choices_.size()));
  for (i64 i = 0; i < x.rows; ++i) {
    const Genotype& genes = genotypes[std::size_t(i)];
    if (genes.size() != choices_.size())
      throw usage_error("surrogate: a genotype of " + std::to_string(choices_.size()) +
                        " genes wanted, got " + std::to_string(genes.size()));
    for (i64 j = 0; j < x.cols; ++j) {
      const i32 most = choices_[std::size_t(j)] - 1;
      x.at(i, j) = options_.raw_inputs || most == 0 ? double(genes[std::size_t(j)])
                                                    : double(genes[std::size_t(j)]) / double(most);
    }
  }
  return x;
}

void Surrogate::fit(Exec& exec, std::span<const Genotype> genotypes,
                    const std::vector<std::vector<double>>& values, const Watch& watch) {
  const Matrix x = inputs_of(genotypes);
  if (!options_.units.empty() && options_.units.size() != values.size())
    throw usage_error("surrogate: " + std::to_string(options_.units.size()) + " units for " +
                      std::to_string(values.size()) + " learned values");
  std::vector<Target> targets(values.size());
  run_tasks(exec, i64(values.size()), [&](i64 t, Exec& inner) {
    Target& target = targets[std::size_t(t)];
    std::vector<double> y = values[std::size_t(t)];
    if (!options_.units.empty()) {
      target.scale = options_.units[std::size_t(t)];
    } else if (!y.empty()) {
      double squares = 0;
      for (double v : y) target.mean += v / double(y.size());
      for (double v : y) squares += (v - target.mean) * (v - target.mean);
      target.scale = squares > 0 ? std::sqrt(squares / double(y.size())) : 1;
    }
    for (double& v : y) v = (v - target.mean) / target.scale;
    target.model =
        make_regressor(options_.kind, Rng(options_.seed).derive(u64(t)).next_u64(), options_.mlp_epochs);
    target.model->fit(inner, x, y, watch);
  });
  targets_ = std::move(targets);
}

std::vector<std::vector<Estimate>> Surrogate::predict(Exec& exec, std::span<const Genotype> genotypes,
                                                      bool spread) const {
  const Matrix x = inputs_of(genotypes);
  std::vector<std::vector<Estimate>> out(targets_.size());
  for (std::size_t t = 0; t < targets_.size(); ++t) {
    out[t] = targets_[t].model->predict(exec, x, spread);
    for (Estimate& e : out[t]) {
      e.mean = targets_[t].mean + targets_[t].scale * e.mean;
      e.spread *= targets_[t].scale;
    }
  }
  return out;
}

std::vector<Surrogate::Report> Surrogate::reports() const {
  std::vector<Report> out;
  for (const Target& target : targets_) {
    const Adaptive* adaptive = dynamic_cast<const Adaptive*>(target.model.get());
    out.push_back(adaptive ? Report{std::string(adaptive->chosen().name()), adaptive->validation()}
                           : Report{std::string(target.model->name()), {}});
  }
  return out;
}

}  // namespace offramp::nas
