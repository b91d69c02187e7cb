// Arrays on the card for tests: guarded on both sides and poisoned, filled from and read back to the host.
#pragma once
#include <gtest/gtest.h>

#include <cstring>
#include <span>
#include <vector>

#include "kernels/bf16.h"
#include "kernels/cuda/gpu.h"
#include "kernels/exec.h"

namespace offramp::testing {

// Says so where there is no card, visibly.
#define OFFRAMP_NEEDS_CARD() \
  if (!::offramp::cuda::Gpu::present()) GTEST_SKIP() << "no CUDA card on this machine"

template <class T>
class DeviceArray {
 public:
  static constexpr i64 kGuard = 64;

  // Poisoned with NaN (all bits set); starts `offset` elements beyond a multiple of 256 bytes.
  explicit DeviceArray(i64 count, i64 offset = 0) : count_(count), offset_(offset) {
    auto& gpu = cuda::Gpu::instance();
    pool_ = gpu.pool();
    data_ = reinterpret_cast<T*>(pool_->take(bytes()));
    cuda::fill_bytes(gpu.stream(), data_, 0xff, bytes());
    gpu.synchronize();
  }
  // From float values, converted.
  explicit DeviceArray(std::span<const float> values, i64 offset = 0)
      : DeviceArray(i64(values.size()), offset) {
    std::vector<T> host;
    for (const float v : values) host.push_back(T(v));
    auto& gpu = cuda::Gpu::instance();
    cuda::copy(gpu.stream(), data(), host.data(), count_ * i64(sizeof(T)));
    gpu.synchronize();
  }
  ~DeviceArray() {
    if (data_) pool_->give(reinterpret_cast<std::byte*>(data_), bytes());
  }
  DeviceArray(DeviceArray&& other) noexcept
      : count_(other.count_),
        offset_(other.offset_),
        pool_(std::move(other.pool_)),
        data_(std::exchange(other.data_, nullptr)) {}
  DeviceArray& operator=(DeviceArray&&) = delete;

  T* data() { return data_ + kGuard + offset_; }
  i64 count() const { return count_; }

  std::vector<T> read() const {
    std::vector<T> all = read_all();
    return {all.begin() + kGuard + offset_, all.begin() + kGuard + offset_ + count_};
  }
  std::vector<float> floats() const {
    std::vector<float> out;
    for (const T v : read()) out.push_back(float(v));
    return out;
  }
  // Nothing beside the array was written.
  bool intact() const {
    const std::vector<T> all = read_all();
    for (i64 i = 0; i < i64(all.size()); ++i) {
      if (i >= kGuard + offset_ && i < kGuard + offset_ + count_) continue;
      unsigned char bytes[sizeof(T)];
      std::memcpy(bytes, &all[size_t(i)], sizeof(T));
      for (const unsigned char b : bytes)
        if (b != 0xff) return false;
    }
    return true;
  }

 private:
  i64 bytes() const { return (count_ + offset_ + 2 * kGuard) * i64(sizeof(T)); }
  std::vector<T> read_all() const {
    std::vector<T> out(size_t(count_ + offset_ + 2 * kGuard));
    auto& gpu = cuda::Gpu::instance();
    cuda::copy(gpu.stream(), out.data(), data_, bytes());
    gpu.synchronize();
    return out;
  }
  i64 count_, offset_;
  std::shared_ptr<cuda::MemoryPool> pool_;
  T* data_;
};

// What the values become when they are stored as T.
template <class T>
std::vector<float> rounded_to(std::span<const float> values) {
  std::vector<float> out;
  for (const float v : values) out.push_back(float(T(v)));
  return out;
}

// Half a unit in the last place of a stored T, relative.
template <class T>
constexpr double storage_error() {
  return sizeof(T) == 2 ? 0x1p-8 : 0x1p-24;
}

}  // namespace offramp::testing
