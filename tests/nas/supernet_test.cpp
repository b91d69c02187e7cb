// The supernet: a subnet and the network extracted from it are the same function; what a subnet changes is
// exactly its part of the shared parameters.
#include "nas/supernet/supernet.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>

#include "nn/loss.h"
#include "nn/optim/sgd.h"
#include "nn/plan/early_exit.h"
#include "nn/record.h"
#include "tests/nas/space/tiny.h"
#include "tests/support/fill.h"

namespace offramp::nas {
namespace {

using offramp::testing::fill_reals;

const Task kTask{.classes = 10, .channels = 1, .height = 20, .width = 20};

std::vector<Space> spaces() {
  return {Space::load("small"), Space::parse(offramp::testing::kTinySpace, "tiny.toml")};
}

Tensor images_for(const nn::Architecture& a, i64 n) {
  Tensor x = Tensor::empty({n, a.height, a.width, a.channels});
  fill_reals(x.values<float>(), 9);
  return x;
}

std::vector<Genotype> some_genotypes(const Space& space, int count) {
  std::vector<Genotype> all{space.max_genotype(), space.min_genotype()};
  Rng rng(5);
  while (i64(all.size()) < count) all.push_back(space.sample(rng));
  return all;
}

// Copies the running statistics of one network into another of the same architecture.
void copy_statistics(const nn::EarlyExitNetwork& from, const nn::EarlyExitNetwork& to) {
  ASSERT_EQ(from.named_buffers().size(), to.named_buffers().size());
  for (std::size_t i = 0; i < from.named_buffers().size(); ++i) {
    ASSERT_EQ(from.named_buffers()[i].name, to.named_buffers()[i].name);
    Tensor target = to.named_buffers()[i].tensor;
    const Tensor source = from.named_buffers()[i].tensor;
    std::memcpy(target.data<float>(), source.data<float>(), std::size_t(source.count()) * sizeof(float));
  }
}

TEST(Supernet, ExtractIsTheSubnet) {
  Exec exec(Target::portable, 1);
  for (const Space& space : spaces()) {
    const Supernet supernet(space, kTask, Rng(3));
    for (const Genotype& genotype : some_genotypes(space, 8)) {
      SCOPED_TRACE(space.name() + " " + to_text(genotype));
      nn::EarlyExitNetwork subnet = supernet.subnet(genotype), plain = supernet.extract(genotype);
      EXPECT_EQ(subnet.architecture(), plain.architecture());
      const Tensor x = images_for(subnet.architecture(), 4);
      subnet.forward(exec, Variable(x), nn::Mode::recalibrate);  // statistics away from 0 and 1
      copy_statistics(subnet, plain);

      const std::vector<Variable> want = subnet.forward(exec, Variable(x), nn::Mode::evaluate);
      const auto plan = std::make_shared<const nn::Plan>(nn::record(plain));
      nn::EarlyExitRunner runner(plan, Target::portable, 4);
      const i64 exits = i64(want.size()), classes = plan->classes;
      ASSERT_EQ(i64(runner.exits().size()), exits);
      std::vector<float> got(std::size_t(4 * exits * classes));
      runner.run_all(exec, x.data<float>(), 4, got.data());
      for (i64 s = 0; s < 4; ++s)
        for (i64 e = 0; e < exits; ++e)
          EXPECT_EQ(std::memcmp(&got[std::size_t((s * exits + e) * classes)],
                                want[std::size_t(e)].value().data<float>() + s * classes,
                                std::size_t(classes) * sizeof(float)),
                    0)
              << "sample " << s << " exit " << e;

      // What it costs is read from the same plan that a network without weights gives.
      nn::MetaParameters none;
      nn::EarlyExitNetwork meta(space.decode(genotype, kTask), none);
      const nn::Plan a = nn::deployable(plain), b = nn::deployable(meta);
      EXPECT_EQ(a.buffers, b.buffers);
      EXPECT_EQ(a.params(), b.params());
      const auto costs = nn::exit_costs(a), meta_costs = nn::exit_costs(b);
      ASSERT_EQ(costs.size(), meta_costs.size());
      for (std::size_t e = 0; e < costs.size(); ++e) EXPECT_EQ(costs[e].leave_macs, meta_costs[e].leave_macs);
    }
  }
}

TEST(Supernet, HoldsEveryParameterOfTheSpace) {
  for (const char* name : {"small", "cifar", "aebnas"}) {
    const Space space = Space::load(name);
    Task task{.classes = 10, .channels = 3};
    if (std::string(name) != "aebnas") task.height = task.width = 32;
    const Supernet supernet(space, task, Rng(1));
    Rng rng(2);
    const int count = std::string(name) == "small" ? 60 : 4;
    for (int i = 0; i < count; ++i) {
      const Genotype genotype = space.sample(rng);
      EXPECT_NO_THROW(supernet.subnet(genotype)) << name << " " << to_text(genotype);
    }
  }
}

TEST(Supernet, SameSeedSameParameters) {
  const Space space = Space::load("small");
  const Supernet a(space, kTask, Rng(4)), b(space, kTask, Rng(4)), c(space, kTask, Rng(5));
  bool differs = false;
  for (const auto& [name, tensor] : a.state()) {
    const Tensor same = b.state().at(name), other = c.state().at(name);
    const std::size_t bytes = std::size_t(tensor.count()) * sizeof(float);
    EXPECT_EQ(std::memcmp(tensor.data<float>(), same.data<float>(), bytes), 0) << name;
    differs = differs || std::memcmp(tensor.data<float>(), other.data<float>(), bytes) != 0;
  }
  EXPECT_TRUE(differs);
}

// Which elements of a shared parameter a view covers, found out without knowing how views are cut: every
// element is given its own number, and the extracted copy is read.
std::map<std::string, std::vector<bool>> regions(const Supernet& supernet, const Genotype& genotype) {
  std::map<std::string, std::vector<bool>> used;
  std::map<std::string, std::vector<float>> saved;
  for (const nn::NamedParameter& p : supernet.parameters()) {
    Tensor t = p.variable.value();
    saved[p.name].assign(t.data<float>(), t.data<float>() + t.count());
    used[p.name].assign(std::size_t(t.count()), false);
    for (i64 i = 0; i < t.count(); ++i) t.data<float>()[i] = float(i);
  }
  const nn::EarlyExitNetwork plain = supernet.extract(genotype);
  for (const nn::NamedParameter& p : plain.named_parameters())
    for (float index : p.variable.value().contiguous().values<float>())
      used.at(p.name)[std::size_t(index)] = true;
  for (const nn::NamedParameter& p : supernet.parameters()) {
    Tensor t = p.variable.value();
    std::copy(saved[p.name].begin(), saved[p.name].end(), t.data<float>());
  }
  return used;
}

TEST(Supernet, TrainingASubnetChangesExactlyItsPart) {
  Exec exec(Target::portable, 2);
  const Space space = Space::load("small");
  Supernet supernet(space, kTask, Rng(3));
  for (const Genotype& genotype : some_genotypes(space, 6)) {
    SCOPED_TRACE(to_text(genotype));
    const auto used = regions(supernet, genotype);
    std::map<std::string, std::vector<float>> before;
    for (const nn::NamedParameter& p : supernet.parameters())
      before[p.name].assign(p.variable.value().data<float>(),
                            p.variable.value().data<float>() + p.variable.value().count());
    nn::Sgd optimizer(supernet.parameters(), {.momentum = 0, .weight_decay = 0});
    optimizer.zero_grad();
    nn::EarlyExitNetwork subnet = supernet.subnet(genotype);
    Tensor labels = Tensor::empty({8}, DType::i64);
    for (i64 i = 0; i < 8; ++i) labels.data<i64>()[i] = i;
    const Variable loss = nn::exit_loss(
        exec, subnet.forward(exec, Variable(images_for(subnet.architecture(), 8)), nn::Mode::train), labels);
    backward(exec, loss);
    optimizer.step(exec, 0.1, 1);
    i64 changed = 0, part = 0;
    for (const nn::NamedParameter& p : supernet.parameters()) {
      const float* now = p.variable.value().data<float>();
      const std::vector<bool>& inside = used.at(p.name);
      for (std::size_t i = 0; i < inside.size(); ++i) {
        const bool moved = now[i] != before[p.name][i];
        if (moved) {
          ASSERT_TRUE(inside[i]) << p.name << " element " << i << " is no part of the subnet";
        }
        changed += moved;
        part += inside[i];
      }
    }
    // Not every gradient is large enough to move a float; nearly all are.
    EXPECT_GT(changed, part * 8 / 10);
    EXPECT_LT(part, 1 << 30);
  }
}

// The gradient that arrives in the shared parameter is that of the plain network, in the same place.
TEST(Supernet, GradientsOfViewsAreThoseOfTheCopy) {
  Exec exec(Target::portable, 1);
  const Space space = Space::load("small");
  const Supernet supernet(space, kTask, Rng(6));
  for (const Genotype& genotype : some_genotypes(space, 5)) {
    SCOPED_TRACE(to_text(genotype));
    nn::EarlyExitNetwork subnet = supernet.subnet(genotype), plain = supernet.extract(genotype);
    const Tensor x = images_for(subnet.architecture(), 6);
    Tensor labels = Tensor::empty({6}, DType::i64);
    for (i64 i = 0; i < 6; ++i) labels.data<i64>()[i] = 9 - i;
    nn::Sgd zero(supernet.parameters(), {});
    zero.zero_grad();
    for (nn::EarlyExitNetwork* net : {&subnet, &plain})
      backward(exec, nn::exit_loss(exec, net->forward(exec, Variable(x), nn::Mode::train), labels));
    const auto used = regions(supernet, genotype);
    std::map<std::string, Tensor> whole;
    for (const nn::NamedParameter& p : supernet.parameters()) whole[p.name] = p.variable.grad();
    for (const nn::NamedParameter& p : plain.named_parameters()) {
      const Tensor own = p.variable.grad().contiguous();
      const Tensor shared = whole.at(p.name);
      ASSERT_TRUE(shared.defined()) << p.name;
      std::size_t next = 0;
      const std::vector<bool>& inside = used.at(p.name);
      for (std::size_t i = 0; i < inside.size(); ++i) {
        const float got = shared.data<float>()[i];
        if (!inside[i]) {
          ASSERT_EQ(got, 0.0f) << p.name << " outside, element " << i;
          continue;
        }
        const float want = own.data<float>()[next++];
        ASSERT_NEAR(got, want, 1e-6 + 1e-5 * std::fabs(want)) << p.name << " element " << i;
      }
      ASSERT_EQ(i64(next), own.count());
    }
  }
}

}  // namespace
}  // namespace offramp::nas
