// A ceiling on the memory that tensors take, counted where it is allocated. What the process holds beside
// them (packed weights, scratch of kernels, freed blocks kept for reuse, libraries) is no part of it: the
// figure is exact and needs no operating system to ask, but it is not the resident set.
#pragma once
#include "kernels/error.h"
#include "kernels/types.h"

namespace offramp {

// Bytes of all tensors alive, on the host and on the card, as the allocator rounds them.
i64 storage_in_use();

// What an allocation throws that a limit forbids.
class StorageExceeded : public Error {
 public:
  using Error::Error;
};

// As long as it lives, tensors of the whole process may take `bytes` more than when it was made; 0: no limit.
// Any thread may allocate; limits themselves are made and ended by one thread, the inner one first.
class StorageLimit {
 public:
  explicit StorageLimit(i64 bytes);
  ~StorageLimit();
  StorageLimit(const StorageLimit&) = delete;
  StorageLimit& operator=(const StorageLimit&) = delete;

 private:
  i64 before_;
};

namespace detail {
// Counts memory of a tensor; throws StorageExceeded, and counts nothing, when a limit forbids it.
void reserve_storage(i64 bytes);
void release_storage(i64 bytes) noexcept;
}  // namespace detail

}  // namespace offramp
