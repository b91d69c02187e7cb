#include "nas/search/recipes.h"

#include <gtest/gtest.h>

#include "nas/space/space.h"
#include "nas/train/network_trainer.h"
#include "tests/support/error_kind.h"

namespace offramp::nas {
namespace {

TEST(Recipes, NameThemselvesAndASpaceThatExists) {
  EXPECT_GE(builtin_recipes().size(), 4u);
  for (const std::string& name : recipe_names()) {
    const SearchConfig config = config_of_recipe(name);
    EXPECT_EQ(config.recipe, name);
    EXPECT_NO_THROW(require_consistent(config, Space::load(config.space))) << name;
    SearchConfig again;
    read_config_text(again, to_toml(config), name);
    EXPECT_EQ(to_toml(again), to_toml(config));
  }
  EXPECT_EQ(offramp::testing::thrown_by([] { config_of_recipe("edana"); }).kind, Error::Kind::usage);
}

TEST(Recipes, OursIsTheDefault) { EXPECT_EQ(to_toml(config_of_recipe("offramp")), to_toml(SearchConfig{})); }

// 100 + 30 x 8 networks, 5 epochs each: the published loop.
TEST(Recipes, TheFaithfulLoop) {
  for (const char* name : {"aebnas", "edanas"}) {
    const SearchConfig c = config_of_recipe(name);
    EXPECT_EQ(c.search.evals, c.search.initial + 30 * c.search.batch);
    EXPECT_EQ(c.search.initial, 100);
    EXPECT_EQ(c.candidate.epochs, 5);
    EXPECT_EQ(c.train.distill, 0);
    for (const Regime& r : {candidate_regime(c), final_regime(c)}) {
      EXPECT_EQ(r.weight_decay, 4e-5);
      EXPECT_EQ(r.warmup, 0);
      EXPECT_EQ(r.clip, 1);
    }
    EXPECT_NE(c.train.weight_decay, 4e-5) << "the supernet's is our own";
  }
  EXPECT_EQ(config_of_recipe("aebnas").tune.kind, "grid");
}

TEST(Recipes, NachosIsAsPublished) {
  const SearchConfig c = config_of_recipe("nachos");
  EXPECT_EQ(c.search.evals, 100 + 10 * 8);
  EXPECT_EQ(c.target_macs, 2'700'000);
  EXPECT_EQ(c.tune.min_accuracy, 0.65);
  EXPECT_EQ(c.tune.kind, "shared");
  for (const Regime& r : {candidate_regime(c), final_regime(c)}) {
    EXPECT_EQ(r.backbone_epochs, 10);
    EXPECT_EQ(r.epochs, 5 + 5);
    EXPECT_EQ(c.confidence.warmup, 5);
    EXPECT_EQ(r.weight_decay, 5e-5);
    EXPECT_EQ(r.clip, 0);
  }
}

}  // namespace
}  // namespace offramp::nas
