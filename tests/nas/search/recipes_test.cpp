#include "nas/search/recipes.h"

#include <gtest/gtest.h>

#include "nas/space/space.h"
#include "tests/support/error_kind.h"

namespace offramp::nas {
namespace {

TEST(Recipes, NameThemselvesAndASpaceThatExists) {
  EXPECT_GE(builtin_recipes().size(), 3u);
  for (const std::string& name : recipe_names()) {
    const SearchConfig config = config_of_recipe(name);
    EXPECT_EQ(config.recipe, name);
    EXPECT_NO_THROW(Space::load(config.space)) << name;
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
  }
}

}  // namespace
}  // namespace offramp::nas
