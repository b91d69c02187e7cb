// How verbs that tell about runs spell what they share.
#pragma once
#include <nlohmann/json_fwd.hpp>

#include "nas/search/objectives.h"
#include "nas/study/records.h"

namespace offramp::cli {

nlohmann::ordered_json to_json(const nas::TrainingCost& cost);

// Names, in the order of a candidate's "objectives".
std::vector<std::string> names_of(std::span<const nas::Objective> objectives);

}  // namespace offramp::cli
