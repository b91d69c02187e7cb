// MD5 of bytes: only to compare files with published checksums. Source: RFC 1321.
#pragma once
#include <array>
#include <cstddef>
#include <span>
#include <string>

#include "kernels/types.h"

namespace offramp::data {

class Md5 {
 public:
  void add(std::span<const std::byte> bytes);
  std::string hex();  // 32 lower-case digits; once, after the last add

 private:
  void block(const u8* p);
  std::array<u32, 4> state_{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
  std::array<u8, 64> pending_{};
  u64 length_ = 0;
};

std::string md5_of_file(const std::string& path);  // Error(input) when it cannot be read

}  // namespace offramp::data
