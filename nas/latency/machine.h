// Which machine a latency table was measured on, and with which kernels.
#pragma once
#include <string>
#include <string_view>

#include "kernels/target.h"
#include "kernels/types.h"

namespace offramp::nas {

// Of the sources of kernels/ and nn/plan/ and of the flags that they were compiled with; written by the
// build.
std::string_view kernel_fingerprint();

struct LatencyMachine {
  std::string cpu;  // name, family, model and stepping
  Target target = Target::portable;
  int threads = 1;
  std::string fingerprint;
  i64 private_bytes = 0;  // a core's own cache
  i64 shared_bytes = 0;   // what may be counted on of the last cache, which others use too

  friend bool operator==(const LatencyMachine&, const LatencyMachine&) = default;
};

LatencyMachine this_machine(Target target, int threads);

// Where the weights of a network are found when it runs again and again: by their bytes in all. A kernel's
// time depends on it, so it is a part of the table's key.
enum class Residence : u8 { private_cache, shared_cache, memory };

std::string_view residence_name(Residence residence);
Residence parse_residence(std::string_view name);  // throws Error(input)
Residence residence_of(const LatencyMachine& machine, i64 weight_bytes);

}  // namespace offramp::nas
