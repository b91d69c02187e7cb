// What was built, from what, how. The values are written by cmake/build_info.cmake.
#pragma once

namespace offramp::cli {

struct BuildInfo {
  const char* version;   // semantic version
  const char* git_hash;  // "unknown" outside a repository
  bool dirty;            // tracked files differed from that commit
  const char* compiler;
  const char* flags;
  const char* threads_backend;  // "openmp" or "std"
};

extern const BuildInfo build_info;

}  // namespace offramp::cli
