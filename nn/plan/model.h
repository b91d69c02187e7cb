// The model file: a plan with its weights, and everything that using it needs. safetensors: the tensors plus
// __metadata__["offramp"], a JSON text.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "nn/plan/early_exit.h"

namespace offramp::nn {

struct CurvePoint {  // one choice of thresholds, as counted on the tune split
  Thresholds thresholds;
  double accuracy = 0;
  i64 total_macs = 0;  // sum over the samples counted
};

struct Model {
  std::shared_ptr<const Plan> plan;

  std::string space;          // name of the search space, empty for a network built otherwise
  std::vector<i32> genotype;  // canonical
  std::vector<std::string> class_names;
  std::vector<float> mean, std;  // per channel, of pixels scaled to [0,1]: input = (pixel / 255 - mean) / std

  ExitRule rule;
  Thresholds thresholds;          // one per exit but the last
  std::vector<CurvePoint> curve;  // ascending in MACs; may be empty
  i64 curve_samples = 0;          // behind every point of the curve

  std::string data;  // what it was trained on, and how that was split
  u64 split_seed = 0;
  i64 train_samples = 0, tune_samples = 0;
  u64 seed = 0;
  std::string build;  // version and commit of the program that wrote it
};

// Throws Error(input), one line with the file and what is wrong, on anything that is not a sound model: every
// length, index, shape and name is checked.
Model load_model(const std::string& path);

// Atomically. The bytes depend on the model alone.
void save_model(const std::string& path, const Model& model);

}  // namespace offramp::nn
