// How verbs that tell about runs spell what they share.
#pragma once
#include <nlohmann/json_fwd.hpp>

#include "nas/study/records.h"

namespace offramp::cli {

nlohmann::ordered_json to_json(const nas::TrainingCost& cost);

}  // namespace offramp::cli
