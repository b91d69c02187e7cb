#include "data/decode.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "data/jpeg_check.h"
#include "kernels/error.h"
#include "tensor/file.h"

// Zeroed memory: what a damaged file leaves undecoded is black, the same in every run.
#define STBI_MALLOC(bytes) std::calloc(1, bytes)
#define STBI_REALLOC(old, bytes) std::realloc(old, bytes)
#define STBI_FREE(old) std::free(old)
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_MAX_DIMENSIONS 16384
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#endif
#include <stb/stb_image.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

namespace offramp::data {

namespace {

constexpr i64 kMaxBytes = i64{1} << 28, kMaxPixels = i64{1} << 26;

u32 big_endian(const u8* p) { return u32{p[0]} << 24 | u32{p[1]} << 16 | u32{p[2]} << 8 | p[3]; }
u32 little_endian(const u8* p) { return u32{p[3]} << 24 | u32{p[2]} << 16 | u32{p[1]} << 8 | p[0]; }

class Image {
 public:
  explicit Image(const std::string& path) : path_(path), bytes_(read_file(path, kMaxBytes)) {
    // stb_image neither checks PNG's checksums nor minds an early end of data, and trusts JPEG's tables.
    const std::string_view start(bytes_);
    if (start.starts_with("\x89PNG\r\n\x1a\n"))
      require_whole_png();
    else if (start.starts_with("\xff\xd8"))
      require_whole_jpeg();
    else if (!start.starts_with("BM"))
      fail("no PNG, JPEG or BMP image");
    int w = 0, h = 0, c = 0;
    if (!stbi_info_from_memory(data(), int(size_), &w, &h, &c)) fail("damaged image" + reason());
    // 1-bit PNG pixels shrink 8 x 1032 fold at most: a header that claims more than that lies.
    if (w < 1 || h < 1 || i64{w} * h > kMaxPixels || i64{w} * h > i64(size_) * 8256)
      fail("an image of " + std::to_string(w) + " x " + std::to_string(h) + " pixels");
    size = {.height = h, .width = w, .channels = c <= 2 ? 1 : 3};
    if (start.starts_with("BM")) require_whole_bmp();
  }

  Tensor decode(i64 channels) const {
    int w = 0, h = 0, c = 0;
    stbi_uc* pixels = stbi_load_from_memory(data(), int(size_), &w, &h, &c, int(channels));
    if (!pixels) fail("damaged image" + reason());
    Tensor out;
    if (w == size.width && h == size.height)
      out = Tensor::from<u8>(std::span<const u8>(pixels, size_t(w) * size_t(h) * size_t(channels)),
                             {h, w, channels});
    stbi_image_free(pixels);
    if (!out.defined()) fail("damaged image: its size changes");
    return out;
  }

  ImageSize size;

 private:
  const u8* data() const { return reinterpret_cast<const u8*>(bytes_.data()); }
  static std::string reason() {
    const char* why = stbi_failure_reason();
    return why ? std::string(" (") + why + ")" : "";
  }
  [[noreturn]] void fail(const std::string& what) const { throw input_error(path_ + ": " + what); }
  [[noreturn]] void fail_at(size_t offset, const std::string& what) const {
    fail("at offset " + std::to_string(offset) + ": " + what);
  }

  void require_whole_png() const {
    for (size_t at = 8;;) {
      if (size_ - at < 12) fail_at(at, "the PNG image is cut short");
      const size_t length = big_endian(data() + at);
      if (length > size_ - at - 12) fail_at(at, "the PNG image is cut short");
      if (crc32(0, data() + at + 4, uInt(length + 4)) != big_endian(data() + at + 8 + length))
        fail_at(at, "wrong checksum in a PNG chunk");
      if (std::memcmp(data() + at + 4, "IEND", 4) == 0) return;
      at += 12 + length;
    }
  }

  void require_whole_jpeg() const {
    if (const auto problem = jpeg_problem({data(), size_})) fail_at(problem->offset, problem->what);
  }

  void require_whole_bmp() const {
    if (size_ < 54 || little_endian(data() + 14) < 40) return;  // older headers: stb_image checks enough
    const u64 offset = little_endian(data() + 10), bits = data()[28] | u64{data()[29]} << 8;
    const u64 row = (u64(size.width) * bits + 31) / 32 * 4;
    // The last row's padding may be missing.
    if (offset + row * u64(size.height - 1) + (u64(size.width) * bits + 7) / 8 > size_)
      fail_at(size_, "the BMP image is cut short");
  }

  std::string path_, bytes_;
  size_t size_ = bytes_.size();
};

}  // namespace

Tensor decode_image(const std::string& path, i64 channels) {
  if (channels != 0 && channels != 1 && channels != 3)
    throw usage_error("images have 1 or 3 channels, not " + std::to_string(channels));
  const Image image(path);
  return to_channels(image.decode(image.size.channels), channels ? channels : image.size.channels);
}

ImageSize image_size(const std::string& path) { return Image(path).size; }

Tensor to_channels(const Tensor& image, i64 channels) {
  const i64 c = image.rank() == 3 ? image.extent(2) : 0;
  if ((c != 1 && c != 3) || (channels != 1 && channels != 3))
    throw input_error("cannot turn an image " + image.shape().str() + " into " + std::to_string(channels) +
                      " channels: wanted [h,w,1] or [h,w,3]");
  if (c == channels) return image;
  Tensor out = Tensor::empty({image.extent(0), image.extent(1), channels}, DType::u8);
  const Tensor packed = image.contiguous();
  const u8* in = packed.data<u8>();
  u8* to = out.data<u8>();
  for (i64 i = 0, n = image.extent(0) * image.extent(1); i < n; ++i) {
    if (channels == 1)
      to[i] = u8((77 * in[3 * i] + 150 * in[3 * i + 1] + 29 * in[3 * i + 2]) >> 8);
    else
      to[3 * i] = to[3 * i + 1] = to[3 * i + 2] = in[i];
  }
  return out;
}

Tensor resize_image(const Tensor& image, i64 out_h, i64 out_w) {
  if (image.rank() != 3 || image.count() == 0 || out_h < 1 || out_w < 1)
    throw input_error("cannot resize an image " + image.shape().str());
  const i64 h = image.extent(0), w = image.extent(1), c = image.extent(2);
  if (h == out_h && w == out_w) return image;
  struct Tap {
    i64 low, high;
    float part;  // of high
  };
  const auto taps = [](i64 from, i64 to) {
    std::vector<Tap> out;
    for (i64 i = 0; i < to; ++i) {
      const float at = (float(i) + 0.5f) * (float(from) / float(to)) - 0.5f;
      const float low = std::floor(at);
      out.push_back(
          {std::clamp<i64>(i64(low), 0, from - 1), std::clamp<i64>(i64(low) + 1, 0, from - 1), at - low});
    }
    return out;
  };
  const std::vector<Tap> rows = taps(h, out_h), cols = taps(w, out_w);
  Tensor out = Tensor::empty({out_h, out_w, c}, DType::u8);
  const Tensor packed = image.contiguous();
  const u8* in = packed.data<u8>();
  u8* to = out.data<u8>();
  for (const Tap& r : rows)
    for (const Tap& k : cols)
      for (i64 ch = 0; ch < c; ++ch) {
        const auto at = [&](i64 row, i64 col) { return float(in[(row * w + col) * c + ch]); };
        const float top = at(r.low, k.low) + (at(r.low, k.high) - at(r.low, k.low)) * k.part;
        const float bottom = at(r.high, k.low) + (at(r.high, k.high) - at(r.high, k.low)) * k.part;
        *to++ = u8(top + (bottom - top) * r.part + 0.5f);
      }
  return out;
}

}  // namespace offramp::data
