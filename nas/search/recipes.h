// A recipe is a named configuration (nas/recipes/*.toml, compiled in) over the same parts: what a run starts
// from before its own file, --set and flags.
#pragma once
#include <string>
#include <vector>

#include "nas/search/config.h"

namespace offramp::nas {

struct BuiltinRecipe {
  const char *name, *text;
};
const std::vector<BuiltinRecipe>& builtin_recipes();

std::vector<std::string> recipe_names();

// Throws Error(usage) for an unknown name, with the nearest spelling.
SearchConfig config_of_recipe(const std::string& name);

}  // namespace offramp::nas
