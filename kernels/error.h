// The one exception type. Its message is one line: what was wanted, what was got, where, what to do.
#pragma once
#include <stdexcept>
#include <string>

namespace offramp {

class Error : public std::runtime_error {
 public:
  // What went wrong decides the exit code of the binary (docs/exit codes: failed 1, usage 2, input 3, ...).
  enum class Kind { failed, usage, input, infeasible, verification, interrupted };

  explicit Error(const std::string& message, Kind kind = Kind::failed)
      : std::runtime_error(message), kind_(kind) {}
  Kind kind() const { return kind_; }

 private:
  Kind kind_;
};

// Malformed or missing file, array or dimension.
inline Error input_error(const std::string& message) { return Error(message, Error::Kind::input); }
// Unknown name, flag or key; a value that makes no sense.
inline Error usage_error(const std::string& message) { return Error(message, Error::Kind::usage); }

}  // namespace offramp
