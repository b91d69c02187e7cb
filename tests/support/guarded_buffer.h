// A float buffer under test: poisoned with NaN inside, canaries on both sides.
#pragma once
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include "kernels/types.h"

namespace offramp::testing {

template <class T = float>
class GuardedBuffer {
 public:
  // `misalign` shifts the start by that many elements, to catch aligned accesses to unaligned data.
  explicit GuardedBuffer(i64 count, i64 misalign = 0)
      : count_(count), start_(kGuard + misalign), memory_(size_t(count + 2 * kGuard + misalign), canary()) {
    for (T& v : values()) v = std::numeric_limits<T>::quiet_NaN();
  }
  T* data() { return memory_.data() + start_; }
  const T* data() const { return memory_.data() + start_; }
  std::span<T> values() { return {data(), size_t(count_)}; }
  std::span<const T> values() const { return {data(), size_t(count_)}; }

  // True when nothing outside [0, count) was written.
  ::testing::AssertionResult intact() const {
    const T expected = canary();
    for (size_t i = 0; i < memory_.size(); ++i) {
      const bool inside = i64(i) >= start_ && i64(i) < start_ + count_;
      if (!inside && std::memcmp(&memory_[i], &expected, sizeof(T)) != 0)
        return ::testing::AssertionFailure() << "wrote outside, at element " << i64(i) - start_ << " of " << count_;
    }
    return ::testing::AssertionSuccess();
  }

 private:
  static constexpr i64 kGuard = 64;
  static T canary() { return T(-12345.678); }
  i64 count_, start_;
  std::vector<T> memory_;
};

}  // namespace offramp::testing
