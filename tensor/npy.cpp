#include "tensor/npy.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "kernels/error.h"
#include "tensor/file.h"

namespace offramp {

namespace {

static_assert(std::endian::native == std::endian::little, "arrays are stored as they lie in memory");

constexpr char kMagic[] = "\x93NUMPY";
constexpr i64 kMaxHeader = i64{1} << 20;
constexpr size_t kMaxRank = 32;  // NumPy's own limit

struct Header {
  std::string descr;
  bool fortran_order = false;
  std::vector<i64> shape;
};

// The header is a Python dict literal of exactly three keys, e.g.
//   {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
class HeaderParser {
 public:
  HeaderParser(const std::string& text, const std::string& path, i64 offset)
      : text_(text), path_(path), offset_(offset) {}

  Header parse() {
    Header out;
    bool descr = false, order = false, shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr" && !descr) {
        descr = true;
        out.descr = quoted();
      } else if (key == "fortran_order" && !order) {
        order = true;
        if (word("True"))
          out.fortran_order = true;
        else if (!word("False"))
          fail("True or False");
      } else if (key == "shape" && !shape) {
        shape = true;
        out.shape = tuple();
      } else {
        fail("the keys descr, fortran_order and shape, each once, not '" + key + "'");
      }
      if (accept('}')) break;
      expect(',');
    }
    skip_space();
    if (at_ != text_.size()) fail("nothing after the dictionary");
    if (!descr || !order || !shape) fail("all of descr, fortran_order and shape");
    return out;
  }

 private:
  [[noreturn]] void fail(const std::string& wanted) const {
    throw input_error(path_ + ": .npy header at offset " + std::to_string(offset_ + i64(at_)) + ": wanted " +
                      wanted);
  }
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
  }
  bool accept(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail(std::string("'") + c + "'");
  }
  bool word(const char* w) {
    skip_space();
    const size_t n = std::strlen(w);
    if (text_.compare(at_, n, w) != 0) return false;
    at_ += n;
    return true;
  }
  std::string quoted() {
    skip_space();
    const char quote = at_ < text_.size() ? text_[at_] : '\0';
    if (quote == '[') fail("a plain array, not a structured one");
    if (quote != '\'' && quote != '"') fail("a quoted string");
    const size_t end = text_.find(quote, at_ + 1);
    if (end == std::string::npos || end - at_ > 64) fail("a short quoted string");
    std::string out = text_.substr(at_ + 1, end - at_ - 1);
    for (char c : out)
      if (c < 0x20 || c > 0x7e) fail("printable characters");
    at_ = end + 1;
    return out;
  }
  std::vector<i64> tuple() {
    std::vector<i64> out;
    expect('(');
    while (!accept(')')) {
      out.push_back(number());
      if (out.size() > kMaxRank) fail("at most 32 extents");
      if (accept(')')) {
        if (out.size() == 1) fail("',' in a tuple of one");
        break;
      }
      expect(',');
    }
    return out;
  }
  i64 number() {
    skip_space();
    i64 value = 0;
    const size_t begin = at_;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
      if (at_ - begin >= 18) fail("an extent below 10^18");
      value = value * 10 + (text_[at_++] - '0');
    }
    if (at_ == begin) fail("a non-negative extent");
    if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // long integers of Python 2
    return value;
  }

  const std::string& text_;
  const std::string& path_;
  i64 offset_;
  size_t at_ = 0;
};

DType dtype_from(const std::string& descr, const std::string& path) {
  if (descr == "<f4") return DType::f32;
  if (descr == "<f8") return DType::f64;
  if (descr == "<i8") return DType::i64;
  if (descr == "|u1" || descr == "<u1") return DType::u8;
  throw input_error(path + ": dtype '" + descr +
                    "' is not supported: wanted '<f4', '<f8', '<i8' or '|u1', e.g. astype('float32')");
}

const char* descr_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "<f4";
    case DType::f64:
      return "<f8";
    case DType::i64:
      return "<i8";
    case DType::u8:
    case DType::bf16:  // refused by write_npy
      break;
  }
  return "|u1";
}

}  // namespace

Tensor read_npy(const std::string& path) {
  const InputFile file(path);
  u8 start[12] = {};
  if (file.size() < 10)
    throw input_error(path + ": " + std::to_string(file.size()) + " bytes are no .npy file");
  file.read_at(0, start, 10);
  if (std::memcmp(start, kMagic, 6) != 0)
    throw input_error(path + ": no .npy file, the magic bytes at offset 0 are missing");
  const int major = start[6], minor = start[7];
  if (major < 1 || major > 3 || minor != 0)
    throw input_error(path + ": .npy version " + std::to_string(major) + "." + std::to_string(minor) +
                      " at offset 6 is unknown, wanted 1.0 to 3.0");
  i64 begin = 10, length = start[8] | start[9] << 8;
  if (major > 1) {
    file.read_at(10, start + 10, 2);
    begin = 12;
    length = i64(start[8] | u32{start[9]} << 8 | u32{start[10]} << 16 | u32{start[11]} << 24);
  }
  if (length > kMaxHeader || length > file.size() - begin)
    throw input_error(path + ": the header at offset 8 claims " + std::to_string(length) +
                      " bytes, the file has " + std::to_string(file.size() - begin));
  std::string text(size_t(length), '\0');
  file.read_at(begin, text.data(), length);
  Header header = HeaderParser(text, path, begin).parse();
  const DType dtype = dtype_from(header.descr, path);

  if (header.fortran_order) std::reverse(header.shape.begin(), header.shape.end());
  Shape shape;
  try {
    shape = Shape(header.shape);
  } catch (const Error& e) {
    throw input_error(path + ": " + e.what());
  }
  const i64 wanted = shape.count() * dtype_size(dtype), found = file.size() - begin - length;
  if (wanted != found)
    throw input_error(path + ": " + shape.str() + " of " + header.descr + " takes " + std::to_string(wanted) +
                      " bytes from offset " + std::to_string(begin + length) + ", the file has " +
                      std::to_string(found));
  Tensor out = Tensor::empty(std::move(shape), dtype);
  file.read_at(begin + length, out.bytes().data(), wanted);
  if (!header.fortran_order) return out;
  std::vector<i64> axes(size_t(out.rank()));
  for (size_t i = 0; i < axes.size(); ++i) axes[i] = out.rank() - 1 - i64(i);
  return out.permute(axes).contiguous();
}

void write_npy(const std::string& path, const Tensor& tensor) {
  if (tensor.defined() && tensor.device() == Device::cuda) return write_npy(path, tensor.to(Device::cpu));
  if (!tensor.defined() || tensor.device() == Device::meta)
    throw Error("cannot write " + path + ": the tensor has no contents");
  if (tensor.dtype() == DType::bf16) throw Error("cannot write " + path + ": .npy knows no bf16");
  std::string dict =
      std::string("{'descr': '") + descr_of(tensor.dtype()) + "', 'fortran_order': False, 'shape': (";
  for (i64 i = 0; i < tensor.rank(); ++i)
    dict += std::to_string(tensor.extent(i)) + (tensor.rank() == 1 ? "," : i + 1 < tensor.rank() ? ", " : "");
  dict += "), }";
  dict.append(64 - (10 + dict.size() + 1) % 64, ' ');  // data begin at a multiple of 64
  dict += '\n';
  std::string head(kMagic, 6);
  head += {'\1', '\0', char(dict.size() & 255), char(dict.size() >> 8)};
  head += dict;
  const Tensor packed = tensor.contiguous();
  write_file_atomically(path, [&](const Sink& sink) {
    sink(std::as_bytes(std::span(head)));
    sink(packed.bytes());
  });
}

}  // namespace offramp
