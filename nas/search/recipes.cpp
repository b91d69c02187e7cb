#include "nas/search/recipes.h"

namespace offramp::nas {

std::vector<std::string> recipe_names() {
  std::vector<std::string> names;
  for (const BuiltinRecipe& recipe : builtin_recipes()) names.emplace_back(recipe.name);
  return names;
}

SearchConfig config_of_recipe(const std::string& name) {
  SearchConfig config;
  set_key(config, "recipe", name);
  for (const BuiltinRecipe& recipe : builtin_recipes())
    if (recipe.name == name) read_config_text(config, recipe.text, "recipe " + name);
  return config;
}

}  // namespace offramp::nas
