// One writer per archive: a lock on the file PATH-lock, which the system drops when its holder dies in
// whatever way.
#pragma once
#include <string>

namespace offramp::nas {

class WriterLock {
 public:
  WriterLock() = default;
  // Throws Error(failed) when another process (or another WriterLock) holds it, Error(input) when the folder
  // cannot be written.
  explicit WriterLock(const std::string& path);
  WriterLock(WriterLock&& other) noexcept : file_(other.file_) { other.file_ = -1; }
  WriterLock& operator=(WriterLock&& other) noexcept;
  ~WriterLock();

 private:
  int file_ = -1;
};

}  // namespace offramp::nas
