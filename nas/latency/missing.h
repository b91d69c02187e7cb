// missing_keys.txt: what a latency table lacks and in which networks it was wanted, to be measured where the
// table belongs.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "nas/latency/table.h"

namespace offramp::nas {

struct MissingKey {
  LatencyTable::Key key;
  std::string space;  // name or path, as given to the search
  Task task;
  Genotype genotype;  // a network that has it
};

std::string missing_text(std::span<const MissingKey> missing);
// Throws Error(input) with file and line.
std::vector<MissingKey> read_missing(const std::string& path);

}  // namespace offramp::nas
