// Runs the built binary as a user's shell would.
#pragma once
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/temp_dir.h"

namespace offramp::testing {

struct Ran {
  int code;  // exit code; 128 + signal when killed
  std::string out, err;

  nlohmann::json json() const {
    const auto parsed = nlohmann::json::parse(out, nullptr, false);
    EXPECT_FALSE(parsed.is_discarded()) << out;
    return parsed;
  }
};

// `command` is a shell line; $offramp is the binary. Its stdout can be redirected inside.
inline Ran sh(const std::string& command) {
  const TempDir dir;
  const std::string line =
      "offramp='" OFFRAMP_BINARY "'; { " + command + "\n} </dev/null >" + dir / "out" + " 2>" + dir / "err";
  const int status = std::system(line.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), slurp(dir / "out"),
          slurp(dir / "err")};
}

inline Ran offramp_run(const std::string& words) { return sh("\"$offramp\" " + words); }

// A failure as the contract wants it: the code, nothing on stdout, one line on stderr that holds `part`.
inline void expect_failure(const std::string& words, int code, const std::string& part) {
  const Ran ran = offramp_run(words);
  EXPECT_EQ(ran.code, code) << words << "\n" << ran.err;
  EXPECT_EQ(ran.out, "") << words;
  EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << words << "\n" << ran.err;
  EXPECT_EQ(ran.err.rfind("offramp", 0), 0u) << ran.err;
  EXPECT_NE(ran.err.find(part), std::string::npos) << words << "\n" << ran.err;
}

}  // namespace offramp::testing
