// Files, read with bounds and written all or nothing. Folders and special files are refused: none can make a
// reader hang or a writer replace a device.
#pragma once
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "kernels/types.h"

namespace offramp {

// A regular file open for reading. Every failure is an Error(input) naming the file (and the offset).
class InputFile {
 public:
  explicit InputFile(const std::string& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::string& path() const { return path_; }
  i64 size() const { return size_; }  // when it was opened
  void read_at(i64 offset, void* out, i64 bytes) const;

 private:
  std::string path_;
  int descriptor_ = -1;
  i64 size_ = 0;
};

// The whole file; one larger than max_bytes is refused before anything is allocated.
std::string read_file(const std::string& path, i64 max_bytes = i64{1} << 30);

using Sink = std::function<void(std::span<const std::byte>)>;

// Writes to a temporary name in the same folder, syncs, renames. When anything fails (or `write` throws) the
// temporary is removed and the old file, if any, is untouched. Throws Error(failed) with path and reason.
void write_file_atomically(const std::string& path, const std::function<void(const Sink&)>& write);
void write_file_atomically(const std::string& path, std::string_view bytes);

}  // namespace offramp
