// The built-in spaces: what their networks look like, and what a supernet may rely on.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "kernels/error.h"
#include "nas/space/space.h"
#include "tests/nas/space/tiny.h"
#include "tests/nas/space/walker.h"

namespace offramp::nas {
namespace {

using testing::walk;
using testing::Walk;

std::vector<Space> all_spaces() {
  std::vector<Space> spaces;
  for (const std::string& name : Space::builtin_names()) spaces.push_back(Space::load(name));
  spaces.push_back(Space::parse(testing::kTinySpace, "tiny.toml"));
  return spaces;
}

i64 full_macs(const Walk& w) {
  i64 macs = 0;
  for (const Walk::Stage& s : w.stages) macs += s.body_macs + s.head_macs;
  return macs;
}

TEST(Spaces, BuiltInAreTheFiles) {
  EXPECT_EQ(Space::builtin_names(),
            (std::vector<std::string>{"aebnas", "cifar", "edanas", "nachos", "small"}));
  for (const std::string& name : Space::builtin_names()) {
    const Space space = Space::load(name);
    const std::string path = std::string(OFFRAMP_SOURCE_DIR) + "/nas/spaces/" + name + ".toml";
    std::ifstream in(path);
    std::stringstream text;
    text << in.rdbuf();
    EXPECT_EQ(space.text(), text.str());
    EXPECT_EQ(space.name(), name);
    EXPECT_EQ(Space::load(path).count(), space.count());
    EXPECT_EQ(Space::parse(space.text(), "again.toml").max_genotype(), space.max_genotype());
  }
  try {
    Space::load("aebans");
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), Error::Kind::usage);
    EXPECT_NE(std::string(e.what()).find("did you mean 'aebnas'?"), std::string::npos) << e.what();
  }
}

TEST(Spaces, RandomNetworksAreSound) {
  for (const Space& space : all_spaces()) {
    SCOPED_TRACE(space.name());
    Rng rng(21);
    for (int i = 0; i < 2000; ++i) {
      const Genotype g = space.sample(rng);
      const i64 side = std::array<i64, 4>{28, 32, 1, 33}[std::size_t(i % 4)];
      const Task task{
          .classes = i % 2 ? 10 : 100, .channels = i % 3 ? 3 : 1, .height = side, .width = i % 5 ? side : 17};
      const nn::Architecture net = space.decode(g, task);
      const Walk w = walk(net);  // throws where two layers share a name or channels do not divide
      ASSERT_GE(w.smallest_side, 1) << to_text(g);
      ASSERT_EQ(net.classes, task.classes);
      ASSERT_EQ(net.channels, task.channels);
      ASSERT_EQ(net.stages.back().name, "final");
      ASSERT_EQ(w.logits, task.classes);
      i64 exits = 0;
      for (std::size_t s = 0; s < net.stages.size(); ++s) {
        const nn::StageSpec& stage = net.stages[s];
        if (s + 1 < net.stages.size()) {
          ASSERT_EQ(stage.name, "stage" + std::to_string(s + 1));
        }
        ASSERT_FALSE(stage.body.empty());
        if (stage.head.empty()) continue;
        ++exits;
        ASSERT_EQ(stage.head.back().kind, nn::LayerSpec::Kind::linear);
        const bool learns = net.learned_confidence && s + 1 < net.stages.size();
        ASSERT_EQ(stage.head.back().c_out, task.classes + learns);
      }
      ASSERT_FALSE(net.stages.back().head.empty());
      ASSERT_GE(exits, 2) << to_text(g);  // at least one early exit
      for (i64 e = 0; e < space.exits(); ++e) {
        const nn::StageSpec& stage = net.stages[std::size_t(space.stage_of_exit(e))];
        ASSERT_EQ(stage.name, space.exit_name(e));
        ASSERT_EQ(!stage.head.empty(), space.exit_on(g, e));
      }
    }
  }
}

// Union of the parameters of some networks: per name the greatest extents.
struct Union {
  std::map<std::string, std::array<i64, 4>> weights;
  std::map<std::string, i64> norms;
  void add(const Walk& w) {
    for (const auto& [name, shape] : w.weights)
      for (std::size_t d = 0; d < 4; ++d) weights[name][d] = std::max(weights[name][d], shape[d]);
    for (const auto& [name, c] : w.norms) norms[name] = std::max(norms[name], c);
  }
};

TEST(Spaces, CoveringGenotypesHoldEveryParameter) {
  for (const Space& space : all_spaces()) {
    SCOPED_TRACE(space.name());
    Union cover;
    std::map<std::string, std::array<i64, 4>> largest_single;
    const std::vector<Genotype> covering = space.covering_genotypes();
    EXPECT_EQ(covering.at(0), space.max_genotype());
    EXPECT_LE(covering.size(), 16u);
    for (const Genotype& g : covering) {
      EXPECT_EQ(space.canonical(g), g);
      cover.add(walk(space.decode(g)));
    }
    // One of them has each parameter in full, not two of them half each.
    for (const auto& [name, shape] : cover.weights) {
      bool whole = false;
      for (const Genotype& g : covering) {
        const Walk w = walk(space.decode(g));
        const auto it = w.weights.find(name);
        whole = whole || (it != w.weights.end() && it->second == shape);
      }
      EXPECT_TRUE(whole) << name;
    }
    Union seen;
    Rng rng(31);
    for (int i = 0; i < 4000; ++i) {
      Genotype g = space.sample(rng);
      const Walk w = walk(space.decode(g));
      seen.add(w);
      for (const auto& [name, shape] : w.weights) {
        const auto it = cover.weights.find(name);
        ASSERT_NE(it, cover.weights.end()) << name;
        for (std::size_t d = 0; d < 4; ++d)
          ASSERT_LE(shape[d], it->second[d]) << name << " of " << to_text(g);
        // A kernel is cropped around its centre: the difference must be even.
        ASSERT_EQ((it->second[1] - shape[1]) % 2, 0) << name;
      }
      for (const auto& [name, c] : w.norms) ASSERT_LE(c, cover.norms[name]) << name;
    }
    // Nothing is covered that no network has: what is allocated is used.
    EXPECT_EQ(seen.weights, cover.weights);
    EXPECT_EQ(seen.norms, cover.norms);
  }
}

TEST(Spaces, LayersOfOneNameDifferOnlyWhereWeightsCanBeSliced) {
  for (const Space& space : all_spaces()) {
    SCOPED_TRACE(space.name());
    std::map<std::string, nn::LayerSpec> first;
    Rng rng(41);
    for (int i = 0; i < 1000; ++i) {
      const nn::Architecture net = space.decode(space.sample(rng));
      for (const nn::StageSpec& stage : net.stages)
        for (const auto* layers : {&stage.body, &stage.head})
          for (const nn::LayerSpec& layer : *layers) {
            const nn::LayerSpec& known = first.emplace(layer.name, layer).first->second;
            ASSERT_EQ(layer.kind, known.kind) << layer.name;
            ASSERT_EQ(layer.groups == 1, known.groups == 1) << layer.name;
            ASSERT_EQ(layer.norm, known.norm) << layer.name;
            ASSERT_EQ(layer.bias, known.bias) << layer.name;
            ASSERT_EQ(layer.act, known.act) << layer.name;
            ASSERT_EQ(layer.se == 0, known.se == 0) << layer.name;
          }
    }
  }
}

TEST(Spaces, ExtremesBoundTheCostOfTheBackbone) {
  for (const Space& space : all_spaces()) {
    SCOPED_TRACE(space.name());
    const Genotype largest = space.max_genotype(), smallest = space.min_genotype();
    for (i64 e = 0; e < space.exits(); ++e) {
      EXPECT_TRUE(space.exit_on(largest, e));
      EXPECT_TRUE(space.exit_on(smallest, e));
    }
    const Walk most = walk(space.decode(largest)), least = walk(space.decode(smallest));
    Rng rng(51);
    for (int i = 0; i < 1000; ++i) {
      const Walk w = walk(space.decode(space.sample(rng)));
      for (std::size_t s = 0; s < w.stages.size(); ++s) {
        EXPECT_GE(most.prefix_macs(s), w.prefix_macs(s));
        EXPECT_LE(least.prefix_macs(s), w.prefix_macs(s));
      }
    }
    const Genotype slim = space.max_with_min_exits();
    const Walk mixed = walk(space.decode(slim));
    for (std::size_t s = 0; s < mixed.stages.size(); ++s)
      EXPECT_EQ(mixed.prefix_macs(s), most.prefix_macs(s));
    for (std::size_t g = 0; g < slim.size(); ++g)
      if (space.genes()[g].name.find(".exit.") != std::string::npos) EXPECT_EQ(slim[g], smallest[g]) << g;
  }
}

TEST(Spaces, MacsAreInTheRangesTheirFilesState) {
  const Space small = Space::load("small"), cifar = Space::load("cifar");
  const auto static_macs = [](const Space& space, Genotype g, const Task& task) {
    for (i64 e = 0; e < space.exits(); ++e) g = space.with_exit(g, e, false);
    return full_macs(walk(space.decode(g, task)));
  };
  const Task grey{.channels = 1, .height = 28, .width = 28}, colour{.height = 32, .width = 32};
  EXPECT_GT(static_macs(small, small.min_genotype(), grey), 100'000);
  EXPECT_LT(static_macs(small, small.min_genotype(), grey), 150'000);
  EXPECT_GT(static_macs(small, small.max_genotype(), grey), 3'500'000);
  EXPECT_LT(full_macs(walk(small.decode(small.max_genotype(), grey))), 5'000'000);
  EXPECT_LT(static_macs(cifar, cifar.min_genotype(), colour), 1'500'000);
  EXPECT_GT(full_macs(walk(cifar.decode(cifar.max_genotype(), colour))), 50'000'000);
  EXPECT_LT(full_macs(walk(cifar.decode(cifar.max_genotype(), colour))), 65'000'000);
}

TEST(Spaces, ResolutionNativeFollowsTheData) {
  const Space small = Space::load("small");
  const Genotype g = small.min_genotype();
  const nn::Architecture grey = small.decode(g, {.classes = 10, .channels = 1, .height = 28, .width = 20});
  EXPECT_EQ(grey.height, 28);
  EXPECT_EQ(grey.width, 20);
  EXPECT_EQ(small.decode(g).height, 32);  // no data: the reference size
  const Space aebnas = Space::load("aebnas");
  EXPECT_EQ(aebnas.decode(aebnas.min_genotype(), {.height = 28, .width = 20}).width, 32);
}

TEST(Spaces, TasksNoNetworkCanBeBuiltForAreRefused) {
  const Space small = Space::load("small");
  const Genotype g = small.max_genotype();
  for (const Task& task : {Task{.classes = 0}, Task{.classes = -1}, Task{.channels = 0}, Task{.height = -5},
                           Task{.width = i64{1} << 40}, Task{.classes = i64{1} << 60},
                           Task{.channels = i64{1} << 60}, Task{.height = 4096, .width = 4096}})
    EXPECT_THROW(small.decode(g, task), Error);
}

}  // namespace
}  // namespace offramp::nas
