#include <algorithm>

#include "data/formats.h"
#include "kernels/error.h"
#include "tensor/file.h"

namespace offramp::data {

namespace {

constexpr i64 kSide = 32, kPlane = kSide * kSide, kPixels = 3 * kPlane;

}  // namespace

Dataset read_cifar(const std::vector<std::string>& files, i64 label_bytes, std::vector<std::string> classes) {
  const i64 record = label_bytes + kPixels;
  i64 total = 0;
  for (const std::string& path : files) {
    const i64 size = InputFile(path).size();
    if (size == 0 || size % record != 0)
      throw input_error(path + ": " + std::to_string(size) + " bytes, wanted records of " +
                        std::to_string(record) + "; the last whole one ends at offset " +
                        std::to_string(size - size % record));
    total += size / record;
  }
  Dataset out;
  out.images = Tensor::empty({total, kSide, kSide, 3}, DType::u8);
  out.labels.reserve(size_t(total));
  out.classes = std::move(classes);
  u8* to = out.images.data<u8>();
  std::vector<u8> chunk(size_t(record) * 256);
  for (const std::string& path : files) {
    const InputFile file(path);
    for (i64 at = 0; at < file.size();) {
      const i64 bytes = std::min(i64(chunk.size()), file.size() - at);
      if (bytes % record != 0 || i64(out.labels.size()) + bytes / record > total)
        throw input_error(path + ": changed while it was read");
      file.read_at(at, chunk.data(), bytes);
      for (i64 r = 0; r < bytes; r += record) {
        const u8* in = chunk.data() + r;
        const u8 label = in[label_bytes - 1];
        if (label >= out.classes.size())
          throw input_error(path + ": at offset " + std::to_string(at + r + label_bytes - 1) + ": label " +
                            std::to_string(label) + ", wanted below " + std::to_string(out.classes.size()));
        out.labels.push_back(label);
        in += label_bytes;
        for (i64 i = 0; i < kPlane; ++i) {
          to[3 * i] = in[i];
          to[3 * i + 1] = in[kPlane + i];
          to[3 * i + 2] = in[2 * kPlane + i];
        }
        to += kPixels;
      }
      at += bytes;
    }
  }
  if (i64(out.labels.size()) != total) throw input_error(files.front() + ": changed while it was read");
  return out;
}

}  // namespace offramp::data
