// The part of MATLAB level 5 files that SVHN uses: numeric arrays, compressed or not, little-endian.
#include <cmath>
#include <cstring>

#include "data/formats.h"
#include "data/reader.h"
#include "kernels/error.h"

namespace offramp::data {

namespace {

// Data types of elements (MAT-File Format, table 1-1).
enum : u32 {
  kInt8 = 1,
  kUint8 = 2,
  kInt16,
  kUint16,
  kInt32,
  kUint32,
  kSingle,
  kDouble = 9,
  kInt64 = 12,
  kUint64,
  kMatrix,
  kCompressed
};
constexpr i64 kSide = 32, kPlane = kSide * kSide, kPixels = 3 * kPlane;

struct Tag {
  u32 type, bytes;
  bool small;  // the data stand in the tag itself
  u8 inside[4];
};

Tag read_tag(Reader& in) {
  u32 words[2];
  in.read(words, 8);
  Tag tag{.type = words[0], .bytes = words[1], .small = false, .inside = {}};
  if (words[0] >> 16) {  // small element: two bytes of size, two of type, up to four of data
    tag = {.type = words[0] & 0xffff, .bytes = words[0] >> 16, .small = true, .inside = {}};
    if (tag.bytes > 4) in.fail("a small element of " + std::to_string(tag.bytes) + " bytes");
    std::memcpy(tag.inside, &words[1], 4);
  }
  return tag;
}

i64 padding(const Tag& tag) { return tag.small ? 0 : (8 - tag.bytes % 8) % 8; }

// A short element whole (flags, dimensions, name).
std::vector<u8> read_short(Reader& in, const Tag& tag) {
  if (tag.bytes > 256)
    in.fail("an element of " + std::to_string(tag.bytes) + " bytes where a short one belongs");
  std::vector<u8> out(tag.bytes);
  if (tag.small) {
    std::memcpy(out.data(), tag.inside, tag.bytes);
  } else {
    in.read(out.data(), tag.bytes);
    in.skip(padding(tag));
  }
  return out;
}

i64 element_size(u32 type) {
  switch (type) {
    case kInt8:
    case kUint8:
      return 1;
    case kInt16:
    case kUint16:
      return 2;
    case kInt32:
    case kUint32:
    case kSingle:
      return 4;
    case kDouble:
    case kInt64:
    case kUint64:
      return 8;
    default:
      return 0;
  }
}

template <class T>
double as_double(const u8* p) {
  T v;
  std::memcpy(&v, p, sizeof v);
  return double(v);
}

double number(u32 type, const u8* p) {
  switch (type) {
    case kInt8:
      return as_double<int8_t>(p);
    case kUint8:
      return *p;
    case kInt16:
      return as_double<int16_t>(p);
    case kUint16:
      return as_double<uint16_t>(p);
    case kInt32:
      return as_double<i32>(p);
    case kUint32:
      return as_double<u32>(p);
    case kSingle:
      return as_double<float>(p);
    case kInt64:
      return as_double<i64>(p);
    case kUint64:
      return as_double<u64>(p);
    default:
      return as_double<double>(p);
  }
}

class SvhnFile {
 public:
  explicit SvhnFile(const std::string& path) : file_(path) {}

  void read(Dataset& out) {
    const std::string& path = file_.path();
    if (file_.size() < 136)
      throw input_error(path + ": " + std::to_string(file_.size()) + " bytes are no .mat file");
    u8 head[128];
    file_.read_at(0, head, 128);
    if (head[126] != 'I' || head[127] != 'M' || head[124] != 0x00 || head[125] != 0x01)
      throw input_error(path +
                        ": at offset 124: no little-endian MATLAB level 5 file (version 7.3 files are HDF5)");
    for (i64 at = 128; at < file_.size();) {
      auto plain = plain_reader(file_, at, file_.size());
      const Tag tag = read_tag(*plain);
      const i64 body = at + 8, size = i64(tag.bytes);
      if (tag.small || (tag.type != kMatrix && tag.type != kCompressed))
        throw input_error(path + ": at offset " + std::to_string(at) + ": element type " +
                          std::to_string(tag.type) + ", wanted a matrix (14) or a compressed one (15)");
      if (size > file_.size() - body)
        throw input_error(path + ": at offset " + std::to_string(at) + ": an element of " +
                          std::to_string(size) + " bytes, " + std::to_string(file_.size() - body) +
                          " are left: the file is cut short");
      if (tag.type == kCompressed) {
        auto in = inflating_reader(file_, body, body + size);
        const Tag inner = read_tag(*in);
        if (inner.type != kMatrix) in->fail("no matrix in the compressed element");
        if (read_matrix(*in, out)) in->finish();
        at = body + size;
      } else {
        auto in = plain_reader(file_, body, body + size);
        if (read_matrix(*in, out)) in->finish();
        at = body + size + padding(tag);
      }
    }
    if (images_ < 0) throw input_error(path + ": no variable X (the images)");
    if (labels_ < 0) throw input_error(path + ": no variable y (the labels)");
    if (images_ != labels_)
      throw input_error(path + ": " + std::to_string(images_) + " images in X, " + std::to_string(labels_) +
                        " labels in y");
  }

 private:
  // False when the variable is another one: what follows in it is not read.
  bool read_matrix(Reader& in, Dataset& out) {
    const std::vector<u8> flags = read_short(in, read_tag(in));
    if (flags.size() != 8) in.fail("array flags of " + std::to_string(flags.size()) + " bytes, wanted 8");
    const Tag dims_tag = read_tag(in);
    const std::vector<u8> dims_bytes = read_short(in, dims_tag);
    const std::vector<u8> name = read_short(in, read_tag(in));
    const bool is_x = name.size() == 1 && name[0] == 'X', is_y = name.size() == 1 && name[0] == 'y';
    if (!is_x && !is_y) return false;
    if ((is_x ? images_ : labels_) >= 0) in.fail("the variable stands there twice");
    // Class codes 6..15 are the numeric arrays; bit 3 of the second byte marks complex ones.
    if (flags[0] < 6 || flags[0] > 15 || (flags[1] & 0x08)) in.fail("X and y must be real numeric arrays");
    if (dims_tag.type != kInt32 || dims_bytes.size() < 8 || dims_bytes.size() % 4)
      in.fail("malformed array dimensions");
    std::vector<i64> dims;
    for (size_t i = 0; i < dims_bytes.size(); i += 4) dims.push_back(i64(as_double<i32>(&dims_bytes[i])));
    const Tag data = read_tag(in);
    if (is_x)
      read_images(in, dims, data, out);
    else
      read_labels(in, dims, data, out);
    in.skip(padding(data));
    return true;
  }

  void read_images(Reader& in, std::vector<i64> dims, const Tag& data, Dataset& out) {
    if (dims.size() == 3) dims.push_back(1);  // MATLAB drops trailing ones
    if (dims.size() != 4 || dims[0] != kSide || dims[1] != kSide || dims[2] != 3 || dims[3] < 1)
      in.fail("X must be 32 x 32 x 3 x n");
    const i64 n = dims[3];
    if (data.type != kUint8 || data.small || i64(data.bytes) != n * kPixels)
      in.fail("X must hold " + std::to_string(n * kPixels) + " unsigned bytes, it claims " +
              std::to_string(data.bytes) + " of type " + std::to_string(data.type));
    if (i64(data.bytes) > in.at_most()) in.fail("X claims more data than the file can hold");
    out.images = Tensor::empty({n, kSide, kSide, 3}, DType::u8);
    u8* to = out.images.data<u8>();
    std::vector<u8> image(kPixels);
    for (i64 i = 0; i < n; ++i, to += kPixels) {
      in.read(image.data(), kPixels);
      for (i64 c = 0; c < 3; ++c)
        for (i64 col = 0; col < kSide; ++col)  // column-major: rows run fastest
          for (i64 row = 0; row < kSide; ++row)
            to[(row * kSide + col) * 3 + c] = image[size_t(c * kPlane + col * kSide + row)];
    }
    images_ = n;
  }

  void read_labels(Reader& in, const std::vector<i64>& dims, const Tag& data, Dataset& out) {
    if (dims.size() != 2 || (dims[0] != 1 && dims[1] != 1) || dims[0] < 1 || dims[1] < 1)
      in.fail("y must be n x 1");
    const i64 n = dims[0] * dims[1], size = element_size(data.type);
    if (size == 0 || i64(data.bytes) != n * size)
      in.fail("y must hold " + std::to_string(n) + " numbers, it claims " + std::to_string(data.bytes) +
              " bytes of type " + std::to_string(data.type));
    if (!data.small && i64(data.bytes) > in.at_most()) in.fail("y claims more data than the file can hold");
    u8 value[8];
    for (i64 i = 0; i < n; ++i) {
      if (data.small)
        std::memcpy(value, data.inside + i * size, size_t(size));
      else
        in.read(value, size);
      const double label = number(data.type, value);
      if (!(label >= 0 && label <= 10) || label != std::floor(label))
        in.fail("label " + std::to_string(label) + " of sample " + std::to_string(i) + ", wanted 1 to 10");
      out.labels.push_back(label == 10 ? 0 : i64(label));
    }
    labels_ = n;
  }

  InputFile file_;
  i64 images_ = -1, labels_ = -1;
};

}  // namespace

Dataset read_svhn(const std::string& path, std::vector<std::string> classes) {
  Dataset out;
  out.classes = std::move(classes);
  SvhnFile(path).read(out);
  return out;
}

}  // namespace offramp::data
