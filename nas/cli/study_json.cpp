#include "nas/cli/study_json.h"

#include <nlohmann/json.hpp>

namespace offramp::cli {

nlohmann::ordered_json to_json(const nas::TrainingCost& cost) {
  return {{"supernet", cost.supernet},
          {"candidates", cost.candidates},
          {"finals", cost.finals},
          {"total", cost.total()}};
}

std::vector<std::string> names_of(std::span<const nas::Objective> objectives) {
  std::vector<std::string> names;
  for (nas::Objective o : objectives) names.push_back(nas::objective_names()[std::size_t(o)]);
  return names;
}

}  // namespace offramp::cli
