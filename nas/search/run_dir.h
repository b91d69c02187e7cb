// Where things are in a run directory.
#pragma once
#include <string>

#include "kernels/types.h"
#include "nas/search/config.h"

namespace offramp::nas {

class Store;

struct RunPaths {
  std::string out;
  std::string config() const { return out + "/run.toml"; }
  std::string space() const { return out + "/space.toml"; }
  std::string archive() const { return out + "/archive.sqlite"; }
  std::string supernet() const { return out + "/supernet.safetensors"; }
  std::string work() const { return out + "/work"; }
  std::string checkpoint(i64 id) const {
    return work() + "/candidate-" + std::to_string(id) + ".safetensors";
  }
  std::string front() const { return out + "/front.csv"; }
  std::string curves() const { return out + "/curves.csv"; }
  std::string models() const { return out + "/models"; }
  std::string model(i64 id) const { return models() + "/" + std::to_string(id) + ".safetensors"; }
  std::string chosen() const { return out + "/chosen.safetensors"; }
  std::string latency() const { return out + "/latency.tsv"; }
  std::string missing() const { return out + "/missing_keys.txt"; }
  std::string report() const { return out + "/report.html"; }
  std::string sample() const { return out + "/sample.npy"; }
};

// Throws Error(input) when the run was created with another configuration: its proposals are taken from the
// archive, so it would not be noticed otherwise. search.evals may differ.
void require_same_config(const Store& store, const RunPaths& paths, const SearchConfig& config);

// Throws Error when it cannot be made.
void make_folder(const std::string& path);

}  // namespace offramp::nas
