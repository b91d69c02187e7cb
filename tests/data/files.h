// Small files in the official formats, made by the tests themselves.
#pragma once
#include <zlib.h>

#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/rng.h"

namespace offramp::data::testing {

inline std::string big_endian(u32 v) { return {char(v >> 24), char(v >> 16), char(v >> 8), char(v)}; }
inline std::string little_endian(u32 v) { return {char(v), char(v >> 8), char(v >> 16), char(v >> 24)}; }

inline std::string random_bytes(u64 seed, i64 count, u32 below = 256) {
  Rng rng(seed);
  std::string out(size_t(count), '\0');
  for (char& c : out) c = char(rng.below(below));
  return out;
}

inline std::string idx(const std::vector<u32>& extents, const std::string& data) {
  std::string out{'\0', '\0', '\x08', char(extents.size())};
  for (u32 e : extents) out += big_endian(e);
  return out + data;
}

// window bits 15: zlib, 31: gzip.
inline std::string packed(const std::string& in, int window_bits) {
  z_stream z{};
  if (deflateInit2(&z, 9, Z_DEFLATED, window_bits, 9, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::runtime_error("deflateInit2");
  std::string out(deflateBound(&z, in.size()) + 64, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
  z.avail_in = uInt(in.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = uInt(out.size());
  if (deflate(&z, Z_FINISH) != Z_STREAM_END) throw std::runtime_error("deflate");
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}
inline std::string gzip(const std::string& in) { return packed(in, 31); }

// `labels` of n samples, pixel bytes from `seed`; CIFAR-100 has a coarse label byte before the fine one.
inline std::string cifar(const std::vector<u8>& labels, bool coarse, u64 seed) {
  std::string out;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (coarse) out += char(labels[i] / 5);
    out += char(labels[i]);
    out += random_bytes(seed + i, 3072);
  }
  return out;
}

inline std::string mat_header(char order = 'I') {
  std::string out = "MATLAB 5.0 MAT-file, made by a test";
  out.resize(124, ' ');
  out += std::string("\0\1", 2);
  out += order == 'I' ? "IM" : "MI";
  return out;
}
inline std::string mat_element(u32 type, const std::string& data) {
  std::string out = little_endian(type) + little_endian(u32(data.size())) + data;
  out.resize((out.size() + 7) / 8 * 8, '\0');
  return out;
}
inline std::string mat_small(u32 type, const std::string& data) {
  std::string out = little_endian(type | u32(data.size()) << 16) + data;
  out.resize(8, '\0');
  return out;
}
// class 9: uint8, 6: double.
inline std::string mat_matrix(u32 array_class, const std::vector<u32>& dims, const std::string& name,
                              const std::string& data_element) {
  std::string extents;
  for (u32 d : dims) extents += little_endian(d);
  return mat_element(14, mat_element(6, little_endian(array_class) + little_endian(0)) +
                             mat_element(5, extents) +
                             (name.size() <= 4 ? mat_small(1, name) : mat_element(1, name)) + data_element);
}
// zlib in a compressed element; these are not padded.
inline std::string mat_compressed(const std::string& matrix) {
  const std::string body = packed(matrix, 15);
  return little_endian(15) + little_endian(u32(body.size())) + body;
}
inline std::string svhn(const std::vector<u8>& labels, u64 seed, bool compressed = true) {
  const u32 n = u32(labels.size());
  const std::string x = mat_matrix(9, {32, 32, 3, n}, "X", mat_element(2, random_bytes(seed, i64{n} * 3072)));
  const std::string tags(labels.begin(), labels.end());
  const std::string y = mat_matrix(9, {n, 1}, "y", n <= 4 ? mat_small(2, tags) : mat_element(2, tags));
  return mat_header() + (compressed ? mat_compressed(x) + mat_compressed(y) : x + y);
}

// 8-bit PNG without filters; channels 1 or 3.
inline std::string png(u32 h, u32 w, u32 channels, const std::string& pixels) {
  const auto chunk = [](const std::string& body) {
    return big_endian(u32(body.size() - 4)) + body +
           big_endian(u32(crc32(0, reinterpret_cast<const Bytef*>(body.data()), uInt(body.size()))));
  };
  std::string rows;
  for (u32 r = 0; r < h; ++r) rows += '\0' + pixels.substr(size_t(r) * w * channels, size_t(w) * channels);
  const std::string header = "IHDR" + big_endian(w) + big_endian(h) +
                             std::string{'\x08', char(channels == 3 ? 2 : 0), '\0', '\0', '\0'};
  return "\x89PNG\r\n\x1a\n" + chunk(header) + chunk("IDAT" + packed(rows, 15)) + chunk("IEND");
}

// 24-bit BMP, bottom row first, blue green red.
inline std::string bmp(u32 h, u32 w, const std::string& rgb) {
  std::string rows;
  for (u32 r = h; r-- > 0;) {
    for (u32 k = 0; k < w; ++k)
      for (int c = 2; c >= 0; --c) rows += rgb[(size_t(r) * w + k) * 3 + size_t(c)];
    rows.resize((rows.size() + 3) / 4 * 4, '\0');
  }
  return "BM" + little_endian(u32(54 + rows.size())) + little_endian(0) + little_endian(54) +
         little_endian(40) + little_endian(w) + little_endian(h) + std::string("\1\0\x18\0", 4) +
         little_endian(0) + little_endian(u32(rows.size())) + std::string(16, '\0') + rows;
}

}  // namespace offramp::data::testing
