// What was built, from what, how. The values are written by cmake/build_info.cmake.
#pragma once
#include <string>

namespace offramp::cli {

struct BuildInfo {
  const char* version;   // semantic version
  const char* git_hash;  // "unknown" outside a repository
  bool dirty;            // tracked files differed from that commit
  const char* compiler;
  const char* flags;
  const char* threads_backend;     // "openmp" or "std"
  const char* cuda_architectures;  // as CMake names them; empty without CUDA
};

extern const BuildInfo build_info;

// "0.1.0 (1a2b3c4)": what model files and archives say they were written by.
std::string build_name();

}  // namespace offramp::cli
