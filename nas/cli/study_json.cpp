#include "nas/cli/study_json.h"

#include <nlohmann/json.hpp>

namespace offramp::cli {

nlohmann::ordered_json to_json(const nas::TrainingCost& cost) {
  return {{"supernet", cost.supernet},
          {"candidates", cost.candidates},
          {"finals", cost.finals},
          {"total", cost.total()}};
}

}  // namespace offramp::cli
