// What the programs of this folder share: exceptions become one line on stderr and the exit codes of
// `offramp`.
#pragma once
#include <exception>
#include <string>

#include "kernels/error.h"
#include "nas/cli/console.h"

namespace offramp::bench {

// Runs body(console), which returns the exit code.
template <class Body>
int guarded_main(const std::string& name, Body&& body) {
  cli::Console console;
  try {
    const int code = body(console);
    console.flush();
    return code;
  } catch (const Error& e) {
    console.end_progress();
    console.error(name + ": " + e.what());
    switch (e.kind()) {
      case Error::Kind::usage:
        return 2;
      case Error::Kind::input:
        return 3;
      case Error::Kind::interrupted:
        return 130;
      default:
        return 1;
    }
  } catch (const std::exception& e) {
    console.end_progress();
    console.error(name + ": " + e.what());
    return 1;
  }
}

}  // namespace offramp::bench
