// Every truncation, and flipped bits: a reader answers with a valid result or Error(input), never otherwise.
#pragma once
#include <gtest/gtest.h>

#include <string>

#include "tests/support/error_kind.h"
#include "tests/support/temp_dir.h"

namespace offramp::data::testing {

// read(path) is called on each damaged file; `header` bytes get all 8 bits flipped, every `step`-th of the
// rest one. With `exact`, each truncation must be refused.
template <class Read>
void damage(const std::string& good, size_t header, size_t step, bool exact, Read&& read) {
  const offramp::testing::TempDir dir;
  const auto check = [&](const std::string& bytes, const std::string& what) {
    const std::string path = dir.write("damaged", bytes);
    const auto t = offramp::testing::thrown_by([&] { read(path); });
    if (t.kind) {
      EXPECT_EQ(*t.kind, Error::Kind::input) << what << ": " << t.message;
      EXPECT_NE(t.message.find("damaged"), std::string::npos) << t.message;
    }
    return t.kind.has_value();
  };
  for (size_t length = 0; length < good.size(); length += length < header || good.size() < 2000 ? 1 : step) {
    const bool refused = check(good.substr(0, length), "cut to " + std::to_string(length));
    if (exact) {
      EXPECT_TRUE(refused) << "cut to " << length << " of " << good.size();
    }
  }
  for (size_t at = 0; at < good.size(); at += at < header ? 1 : step)
    for (int bit = at < header ? 0 : int(at % 8), end = at < header ? 8 : bit + 1; bit < end; ++bit) {
      std::string bad = good;
      bad[at] = char(bad[at] ^ (1 << bit));
      check(bad, "bit " + std::to_string(bit) + " of byte " + std::to_string(at));
    }
}

}  // namespace offramp::data::testing
