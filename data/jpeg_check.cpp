#include "data/jpeg_check.h"

#include <algorithm>
#include <vector>

namespace offramp::data {

namespace {

// Source of the marker codes and segment layouts: ITU-T T.81, annex B.
constexpr u8 kDht = 0xc4, kSoi = 0xd8, kEoi = 0xd9, kSos = 0xda;

bool is_frame(u8 m) { return m == 0xc0 || m == 0xc1 || m == 0xc2; }
bool is_unsupported_frame(u8 m) { return m >= 0xc3 && m <= 0xcf && m != kDht; }
bool is_restart(u8 m) { return m >= 0xd0 && m <= 0xd7; }

class Walk {
 public:
  explicit Walk(std::span<const u8> bytes) : bytes_(bytes) {}

  std::optional<JpegProblem> run() {
    at_ = 2;
    bool scanned = false;
    for (;;) {
      if (!find_marker()) return cut();
      const size_t marker_at = at_ - 1;
      const u8 marker = bytes_[marker_at];
      if (marker == kEoi) {
        if (!scanned) return JpegProblem{marker_at, "a JPEG image without any scan"};
        return std::nullopt;
      }
      if (is_unsupported_frame(marker)) return JpegProblem{marker_at, "an unsupported kind of JPEG"};
      if (marker == kSoi || is_restart(marker) || marker < 0xc0)
        return JpegProblem{marker_at, "a JPEG marker out of place"};
      if (bytes_.size() - at_ < 2) return cut();
      const size_t length = size_t{bytes_[at_]} << 8 | bytes_[at_ + 1];
      if (length < 2) return JpegProblem{at_, "a JPEG segment of " + std::to_string(length) + " bytes"};
      if (length > bytes_.size() - at_) return cut();
      const std::span<const u8> body = bytes_.subspan(at_ + 2, length - 2);
      std::string wrong;
      if (is_frame(marker)) wrong = frame(body, marker == 0xc2);
      if (marker == kDht) wrong = huffman(body);
      if (marker == kSos) wrong = scan(body);
      if (!wrong.empty()) return JpegProblem{at_, wrong};
      at_ += length;
      if (marker != kSos) continue;
      scanned = true;
      if (!skip_entropy_coded()) return cut();
    }
  }

 private:
  std::optional<JpegProblem> cut() const { return JpegProblem{bytes_.size(), "the JPEG image is cut short"}; }

  // Behind the next marker; bytes between segments are tolerated before the frame, as decoders do.
  bool find_marker() {
    while (at_ < bytes_.size() && bytes_[at_] != 0xff) {
      if (components_.size() > 0) return false;
      ++at_;
    }
    while (at_ < bytes_.size() && bytes_[at_] == 0xff) ++at_;
    return at_++ < bytes_.size();
  }

  // To the marker that ends a scan: not a stuffed zero, not a restart.
  bool skip_entropy_coded() {
    for (; at_ + 1 < bytes_.size(); ++at_) {
      const u8 next = bytes_[at_ + 1];
      if (bytes_[at_] == 0xff && next != 0 && next != 0xff && !is_restart(next)) return true;
    }
    return false;
  }

  std::string frame(std::span<const u8> body, bool progressive) {
    if (!components_.empty()) return "a second JPEG frame";
    if (body.size() < 6 || body[5] < 1 || body.size() != 6 + 3 * size_t{body[5]})
      return "a malformed JPEG frame";
    for (size_t i = 6; i < body.size(); i += 3) components_.push_back(body[i]);
    progressive_ = progressive;
    return "";
  }

  std::string huffman(std::span<const u8> body) {
    while (!body.empty()) {
      if (body.size() < 17) return "a malformed Huffman table";
      const u32 kind = body[0] >> 4, index = body[0] & 15;
      size_t codes = 0;
      for (size_t i = 1; i <= 16; ++i) codes += body[i];
      if (kind > 1 || index > 3 || codes > 256 || codes > body.size() - 17)
        return "a malformed Huffman table";
      defined_[kind] |= 1u << index;
      body = body.subspan(17 + codes);
    }
    return "";
  }

  std::string scan(std::span<const u8> body) const {
    if (components_.empty()) return "a JPEG scan before the frame";
    if (body.empty() || body.size() != 4 + 2 * size_t{body[0]}) return "a malformed JPEG scan";
    const bool with_dc = !progressive_ || body[body.size() - 3] == 0;
    const bool with_ac = !progressive_ || !with_dc;
    for (size_t i = 1; i + 3 < body.size(); i += 2) {
      if (std::find(components_.begin(), components_.end(), body[i]) == components_.end())
        return "a JPEG scan of an unknown component";
      const u32 dc = body[i + 1] >> 4, ac = body[i + 1] & 15;
      if ((with_dc && !(defined_[0] >> dc & 1)) || (with_ac && !(defined_[1] >> ac & 1)))
        return "a JPEG scan without its Huffman table";
    }
    return "";
  }

  std::span<const u8> bytes_;
  size_t at_ = 0;
  std::vector<u8> components_;
  bool progressive_ = false;
  u32 defined_[2] = {0, 0};  // bit i: table i was sent; DC, AC
};

}  // namespace

std::optional<JpegProblem> jpeg_problem(std::span<const u8> bytes) {
  if (bytes.size() < 4 || bytes[0] != 0xff || bytes[1] != kSoi) return JpegProblem{0, "no JPEG image"};
  return Walk(bytes).run();
}

}  // namespace offramp::data
