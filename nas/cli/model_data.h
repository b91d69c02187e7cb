// What the verbs that use a model file share: the model, the data it is asked about, its input.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "data/loader.h"
#include "nas/cli/args.h"
#include "nn/plan/model.h"

namespace offramp::cli {

data::Normalisation normalisation_of(const nn::Model& model);

// One split of `data` (empty: what the model was trained on), divided as it was for training. Throws
// Error(usage) for an unknown split, Error(input) when channels or classes are not the model's.
data::Dataset load_split(const nn::Model& model, const std::string& data, const std::string& split,
                         const std::vector<std::string>& dirs);

// Thresholds in force: the model's own, or the best point of its stored curve with average MACs <= target.
// Throws Error(input) when there is no curve, Error(infeasible) when its cheapest point is dearer.
nn::Thresholds thresholds_for(const nn::Model& model, std::optional<i64> target_macs);

// Images of a file as the network takes them: PNG, JPEG, BMP, or .npy uint8 [h,w], [h,w,c], [n,h,w,c];
// converted to the model's channels, normalised, resized bilinearly. float32 [n,height,width,channels].
Tensor load_input(const nn::Model& model, const std::string& path);

// One value per early exit, null = off: how every verb spells thresholds.
nlohmann::ordered_json to_json(const nn::Thresholds& thresholds);

}  // namespace offramp::cli
