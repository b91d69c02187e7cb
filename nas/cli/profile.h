// What the parts of `offramp profile` share.
#pragma once
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "kernels/timing.h"
#include "nas/cli/console.h"
#include "nn/architecture.h"
#include "nn/plan/plan.h"

namespace offramp::cli {

struct ProfileRequest {
  std::string model, space, genotype, device, precision;
  i64 batch = 1, exit = -1, channels = 3, classes = 10;
  int threads = 1;
};

// The deployed plan, images for it, and the path through it that is timed.
struct ProfiledPlan {
  std::shared_ptr<const nn::Plan> plan;
  std::vector<float> images;
  std::string exit;  // where the path leaves
  i64 last_stage = 0;
};
ProfiledPlan profiled_plan(const ProfileRequest& request);

nn::Architecture profiled_architecture(const ProfileRequest& request);

void profile_plan_on_host(Console& console, const ProfileRequest& request);
void profile_training_on_host(Console& console, const ProfileRequest& request);
// Only in builds with CUDA. A pass or a step is captured and replayed, as inference and training do it.
void profile_plan_on_card(Console& console, const ProfileRequest& request);
void profile_training_on_card(Console& console, const ProfileRequest& request);

// A line of "calls".
struct ProfiledCall {
  std::string kernel, dims;
  i64 calls = 1, macs = 0, bytes = 0;
  double us = 0, share = 0, of_roof = 0;
};
nlohmann::ordered_json to_json(const ProfiledCall& call);

// {"median", "p10", "p90", "runs"}: microseconds x scale.
nlohmann::ordered_json to_json(const Timing& timing, double scale);

}  // namespace offramp::cli
