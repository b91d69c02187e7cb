// Equality of bit patterns: NaN equals itself, 0 and -0 differ.
#pragma once
#include <gtest/gtest.h>

#include <cstring>
#include <span>

#include "kernels/types.h"

namespace offramp::testing {

template <class T>
::testing::AssertionResult same_bits(std::span<const T> got, std::span<const T> want) {
  if (got.size() != want.size())
    return ::testing::AssertionFailure() << "sizes differ: " << got.size() << " and " << want.size();
  for (size_t i = 0; i < got.size(); ++i)
    if (std::memcmp(&got[i], &want[i], sizeof(T)) != 0)
      return ::testing::AssertionFailure() << "element " << i << ": got " << got[i] << ", want " << want[i];
  return ::testing::AssertionSuccess();
}

}  // namespace offramp::testing
