#include "data/md5.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "tensor/file.h"

namespace offramp::data {

namespace {

// floor(2^32 * |sin(i + 1)|)
const std::array<u32, 64>& sines() {
  static const std::array<u32, 64> table = [] {
    std::array<u32, 64> t{};
    for (int i = 0; i < 64; ++i)
      t[size_t(i)] = u32(std::floor(std::fabs(std::sin(double(i + 1))) * 4294967296.0));
    return t;
  }();
  return table;
}

constexpr int kShift[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};

}  // namespace

void Md5::block(const u8* p) {
  const auto& k = sines();
  u32 words[16];
  std::memcpy(words, p, 64);
  auto [a, b, c, d] = state_;
  for (u32 i = 0; i < 64; ++i) {
    u32 f = 0, g = 0;
    switch (i / 16) {
      case 0:
        f = (b & c) | (~b & d), g = i;
        break;
      case 1:
        f = (d & b) | (~d & c), g = (5 * i + 1) % 16;
        break;
      case 2:
        f = b ^ c ^ d, g = (3 * i + 5) % 16;
        break;
      default:
        f = c ^ (b | ~d), g = (7 * i) % 16;
        break;
    }
    f += a + k[i] + words[g];
    a = d;
    d = c;
    c = b;
    b += std::rotl(f, kShift[i / 16][i % 4]);
  }
  state_[0] += a;
  state_[1] += b;
  state_[2] += c;
  state_[3] += d;
}

void Md5::add(std::span<const std::byte> bytes) {
  const u8* p = reinterpret_cast<const u8*>(bytes.data());
  size_t left = bytes.size(), held = size_t(length_ % 64);
  length_ += left;
  while (left > 0) {
    if (held == 0 && left >= 64) {
      block(p);
      p += 64;
      left -= 64;
      continue;
    }
    const size_t n = std::min(left, 64 - held);
    std::memcpy(pending_.data() + held, p, n);
    held += n;
    p += n;
    left -= n;
    if (held == 64) {
      block(pending_.data());
      held = 0;
    }
  }
}

std::string Md5::hex() {
  const u64 bits = length_ * 8;
  std::array<std::byte, 72> tail{std::byte{0x80}};
  const size_t zeros = (119 - length_ % 64) % 64;  // up to 56 bytes modulo 64
  std::memcpy(tail.data() + 1 + zeros, &bits, 8);
  add(std::span(tail).first(1 + zeros + 8));
  std::string out;
  for (u32 word : state_)
    for (int i = 0; i < 4; ++i) {
      const u32 byte = word >> (8 * i) & 255;
      out += "0123456789abcdef"[byte >> 4];
      out += "0123456789abcdef"[byte & 15];
    }
  return out;
}

std::string md5_of_file(const std::string& path) {
  const InputFile file(path);
  Md5 sum;
  std::vector<std::byte> chunk(1 << 18);
  for (i64 at = 0; at < file.size();) {
    const i64 n = std::min(i64(chunk.size()), file.size() - at);
    file.read_at(at, chunk.data(), n);
    sum.add(std::span(chunk).first(size_t(n)));
    at += n;
  }
  return sum.hex();
}

}  // namespace offramp::data
