// Owned memory of tensors, 64-byte aligned.
#pragma once
#include <cstddef>
#include <memory>

#include "kernels/types.h"

namespace offramp {

enum class Device : u8 { cpu, meta };

class Storage {
 public:
  // cpu: memory, reused from a process-wide cache of freed blocks (a training step repeats its sizes),
  // contents undefined. meta: a unique address range that must never be dereferenced. Throws Error when
  // memory is short.
  static std::shared_ptr<Storage> allocate(i64 bytes, Device device);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  std::byte* data() const { return data_; }
  i64 bytes() const { return bytes_; }
  Device device() const { return device_; }

 private:
  Storage(std::byte* data, i64 bytes, Device device) : data_(data), bytes_(bytes), device_(device) {}
  std::byte* data_;
  i64 bytes_;
  Device device_;
};

}  // namespace offramp
