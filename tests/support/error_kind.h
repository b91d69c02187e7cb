// What a call throws: its kind, with the message kept to one line.
#pragma once
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "kernels/error.h"

namespace offramp::testing {

struct Thrown {
  std::optional<Error::Kind> kind;  // empty when nothing was thrown
  std::string message;
};

template <class F>
Thrown thrown_by(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    const std::string message = e.what();
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_FALSE(message.empty());
    return {e.kind(), message};
  }
  return {};
}

// The kind alone; a test failure when nothing is thrown.
template <class F>
Error::Kind kind_of(F&& f) {
  const Thrown t = thrown_by(f);
  if (t.kind) return *t.kind;
  ADD_FAILURE() << "no Error thrown";
  return Error::Kind::verification;
}

}  // namespace offramp::testing
