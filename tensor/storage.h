// Owned memory of tensors, 64-byte aligned.
#pragma once
#include <cstddef>
#include <memory>

#include "kernels/types.h"

namespace offramp {

namespace cuda {
class MemoryPool;
}

// Of fresh memory, those huge pages that lie whole inside: a walk over megabytes of weights otherwise misses
// the TLB.
void ask_for_huge_pages(std::byte* data, i64 bytes);

enum class Device : u8 { cpu, meta, cuda };

class Storage {
 public:
  // cpu: memory, reused from a process-wide cache of freed blocks (a training step repeats its sizes),
  // contents undefined. meta: a unique address range that must never be dereferenced. cuda: memory of the
  // card, which the host must not dereference. Throws Error when memory is short or there is no card,
  // StorageExceeded when a StorageLimit forbids it.
  static std::shared_ptr<Storage> allocate(i64 bytes, Device device);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  std::byte* data() const { return data_; }
  i64 bytes() const { return bytes_; }
  Device device() const { return device_; }

 private:
  Storage(i64 bytes, Device device) : bytes_(bytes), device_(device) {}
  std::byte* data_ = nullptr;
  i64 bytes_;
  i64 counted_ = 0;  // in storage_in_use()
  Device device_;
  std::shared_ptr<cuda::MemoryPool> pool_;  // of cuda
};

}  // namespace offramp
