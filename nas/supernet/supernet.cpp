#include "nas/supernet/supernet.h"

#include <algorithm>
#include <utility>

#include "autograd/ops/shape.h"
#include "kernels/error.h"

namespace offramp::nas {
namespace {

// Notes the greatest extents that any covering network asks for, by parameter name.
class Greatest : public nn::ParameterSource {
 public:
  struct Wanted {
    std::string name;
    Extents extents;
    nn::Init init;
  };
  std::vector<Wanted> wanted;

  Variable parameter(const std::string& name, const Shape& shape, const nn::Init& init) override {
    auto [at, is_new] = index_.try_emplace(name, wanted.size());
    if (is_new) {
      wanted.push_back({name, shape.extents(), init});
    } else {
      Extents& have = wanted[at->second].extents;
      if (i64(have.size()) != shape.rank())
        throw Error("supernet: parameter '" + name + "' has different ranks in different networks");
      for (std::size_t i = 0; i < have.size(); ++i) have[i] = std::max(have[i], shape[i64(i)]);
    }
    return meta_.parameter(name, shape, init);
  }
  Tensor buffer(const std::string& name, const Shape& shape, double fill) override {
    return meta_.buffer(name, shape, fill);
  }

 private:
  nn::MetaParameters meta_;
  std::map<std::string, std::size_t> index_;
};

ops::Prefix prefix_of(const Shape& part) {
  if (part.rank() == 4) return {.out = part[0], .in = part[3], .kernel = part[1]};
  if (part.rank() == 2) return {.out = part[0], .in = part[1]};
  return {.out = part[0]};
}

}  // namespace

// Hands a network views of the shared parameters, or copies of them.
class Supernet::Views : public nn::ParameterSource {
 public:
  Views(const Supernet& net, bool copy) : net_(net), copy_(copy) {}

  Variable parameter(const std::string& name, const Shape& shape, const nn::Init&) override {
    const auto found = net_.index_.find(name);
    if (found == net_.index_.end()) throw Error("supernet: no shared parameter '" + name + "'");
    const Variable view = ops::prefix_view(net_.parameters_[found->second].variable, prefix_of(shape));
    return copy_ ? Variable(view.value().clone(), /*requires_grad=*/true) : view;
  }
  // Made where they lie and cut from larger ones: a subnet is made in every step, and its statistics are as
  // many as its layers.
  Tensor buffer(const std::string&, const Shape& shape, double fill) override {
    constexpr i64 kValues = 4096, kAlign = 64;
    Block& block = blocks_[fill];
    const i64 count = shape.count();
    if (!block.values.defined() || block.cut + count > block.values.count()) {
      block = {Tensor::empty({std::max(kValues, count)}, DType::f32, net_.device_)};
      block.values.fill(fill);
    }
    const i64 begin = std::exchange(block.cut, block.cut + (count + kAlign - 1) / kAlign * kAlign);
    return block.values.slice(0, begin, count).reshape(shape);
  }

 private:
  struct Block {
    Tensor values;
    i64 cut = 0;
  };
  const Supernet& net_;
  bool copy_;
  std::map<double, Block> blocks_;  // by what fills them
};

Supernet::Supernet(Space space, const Task& task, Rng rng, Device device)
    : space_(std::move(space)), task_(task), device_(device) {
  Greatest extents;
  for (const Genotype& genotype : space_.covering_genotypes())
    nn::EarlyExitNetwork(space_.decode(genotype, task_), extents);
  nn::FreshParameters fresh(rng);
  for (const Greatest::Wanted& w : extents.wanted) {
    index_[w.name] = parameters_.size();
    const Variable value = fresh.parameter(w.name, Shape(w.extents), w.init);
    parameters_.push_back({w.name, Variable(value.value().to(device), /*requires_grad=*/true)});
  }
}

nn::EarlyExitNetwork Supernet::subnet(const Genotype& genotype) const {
  Views views(*this, /*copy=*/false);
  return nn::EarlyExitNetwork(space_.decode(genotype, task_), views);
}

nn::StateDict Supernet::state() const {
  nn::StateDict state;
  for (const nn::NamedParameter& p : parameters_) state[p.name] = p.variable.value();
  return state;
}

nn::EarlyExitNetwork Supernet::extract(const Genotype& genotype) const {
  Views copies(*this, /*copy=*/true);
  return nn::EarlyExitNetwork(space_.decode(genotype, task_), copies);
}

}  // namespace offramp::nas
