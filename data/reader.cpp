#include "data/reader.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <vector>

#include "kernels/error.h"

namespace offramp::data {

namespace {

class PlainReader final : public Reader {
 public:
  PlainReader(const InputFile& file, i64 begin, i64 end) : file_(file), at_(begin), end_(end) {}
  void read(void* out, i64 bytes) override {
    if (bytes > end_ - at_)
      fail(std::to_string(bytes) + " bytes wanted, " + std::to_string(end_ - at_) + " are left");
    file_.read_at(at_, out, bytes);
    at_ += bytes;
  }
  i64 at_most() const override { return end_ - at_; }
  void finish() override {
    if (at_ != end_) fail(std::to_string(end_ - at_) + " bytes too many");
  }
  [[noreturn]] void fail(const std::string& what) const override {
    throw input_error(file_.path() + ": at offset " + std::to_string(at_) + ": " + what);
  }

 private:
  const InputFile& file_;
  i64 at_, end_;
};

class InflatingReader final : public Reader {
 public:
  InflatingReader(const InputFile& file, i64 begin, i64 end) : file_(file), at_(begin), end_(end) {
    // 15 window bits; +32: the header tells zlib from gzip.
    if (inflateInit2(&stream_, 15 + 32) != Z_OK) throw Error("zlib: no memory to unpack " + file.path());
  }
  ~InflatingReader() override { inflateEnd(&stream_); }

  void read(void* out, i64 bytes) override {
    u8* to = static_cast<u8*>(out);
    while (bytes > 0) {
      const i64 got = inflate_some(to, bytes);
      if (got == 0) fail("the compressed data end, " + std::to_string(bytes) + " bytes more were expected");
      to += got;
      bytes -= got;
    }
  }
  // No deflate stream unpacks to more than 1032 times its size (zlib's technical details).
  i64 at_most() const override { return (end_ - at_ + i64(stream_.avail_in)) * 1032 + (1 << 16); }
  void finish() override {
    u8 extra = 0;
    if (inflate_some(&extra, 1) != 0) fail("more data than the header announced");
    if (at_ != end_ || stream_.avail_in != 0) fail("bytes follow the end of the compressed data");
  }
  [[noreturn]] void fail(const std::string& what) const override {
    throw input_error(file_.path() + ": at offset " + std::to_string(at_ - i64(stream_.avail_in)) +
                      " (compressed): " + what);
  }

 private:
  // Up to `bytes` bytes; 0 at the end of the stream, which includes its checksum.
  i64 inflate_some(u8* to, i64 bytes) {
    const i64 room = std::min(bytes, i64{1} << 30);
    stream_.next_out = to;
    stream_.avail_out = uInt(room);
    while (!ended_ && stream_.avail_out == uInt(room)) {
      if (stream_.avail_in == 0) {
        const i64 chunk = std::min(i64(buffer_.size()), end_ - at_);
        if (chunk == 0) fail("the compressed data are cut short");
        file_.read_at(at_, buffer_.data(), chunk);
        at_ += chunk;
        stream_.next_in = buffer_.data();
        stream_.avail_in = uInt(chunk);
      }
      const int result = inflate(&stream_, Z_NO_FLUSH);
      if (result == Z_STREAM_END)
        ended_ = true;
      else if (result == Z_MEM_ERROR)
        throw Error("zlib: no memory to unpack " + file_.path());
      else if (result != Z_OK && result != Z_BUF_ERROR)
        fail("damaged compressed data");
    }
    return room - i64(stream_.avail_out);
  }

  const InputFile& file_;
  i64 at_, end_;
  bool ended_ = false;
  z_stream stream_{};
  std::array<u8, 1 << 16> buffer_;
};

}  // namespace

void Reader::skip(i64 bytes) {
  std::array<char, 4096> sink;
  while (bytes > 0) {
    const i64 n = std::min(bytes, i64(sink.size()));
    read(sink.data(), n);
    bytes -= n;
  }
}

std::unique_ptr<Reader> plain_reader(const InputFile& file, i64 begin, i64 end) {
  return std::make_unique<PlainReader>(file, begin, end);
}
std::unique_ptr<Reader> inflating_reader(const InputFile& file, i64 begin, i64 end) {
  return std::make_unique<InflatingReader>(file, begin, end);
}

}  // namespace offramp::data
