// Bytes of a file region, plain or compressed, read in order and with bounds.
#pragma once
#include <memory>
#include <string>

#include "tensor/file.h"

namespace offramp::data {

class Reader {
 public:
  virtual ~Reader() = default;
  // Exactly `bytes` bytes, or Error(input) naming file and offset.
  virtual void read(void* out, i64 bytes) = 0;
  // More than this cannot follow: the bound to check a claimed size against before allocating.
  virtual i64 at_most() const = 0;
  // Throws Error(input) unless everything was read and, if compressed, the checksum is right.
  virtual void finish() = 0;
  // Throws Error(input): file, offset reached, `what`.
  [[noreturn]] virtual void fail(const std::string& what) const = 0;
  void skip(i64 bytes);
};

// The plain bytes [begin, end).
std::unique_ptr<Reader> plain_reader(const InputFile& file, i64 begin, i64 end);
// What the zlib or gzip stream in [begin, end) unpacks to. The file must outlive the reader (both kinds).
std::unique_ptr<Reader> inflating_reader(const InputFile& file, i64 begin, i64 end);

}  // namespace offramp::data
