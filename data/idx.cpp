#include "data/formats.h"
#include "data/reader.h"
#include "kernels/error.h"

namespace offramp::data {

namespace {

constexpr i64 kMaxSide = 4096;

}  // namespace

Tensor read_idx(const std::string& path) {
  const InputFile file(path);
  u8 start[4] = {};
  if (file.size() < 4)
    throw input_error(path + ": " + std::to_string(file.size()) + " bytes are no IDX file");
  file.read_at(0, start, 2);
  const bool packed = start[0] == 0x1f && start[1] == 0x8b;
  const auto reader = packed ? inflating_reader(file, 0, file.size()) : plain_reader(file, 0, file.size());
  reader->read(start, 4);
  if (start[0] != 0 || start[1] != 0)
    reader->fail("no IDX file, the magic number begins with two zero bytes");
  if (start[2] != 0x08) reader->fail("IDX of another type than unsigned bytes (0x08)");
  const int rank = start[3];
  if (rank < 1 || rank > 4) reader->fail("IDX rank " + std::to_string(rank) + ", wanted 1 to 4");
  std::vector<i64> extents;
  i64 count = 1;
  for (int i = 0; i < rank; ++i) {
    u8 b[4];
    reader->read(b, 4);
    const i64 extent = i64{b[0]} << 24 | i64{b[1]} << 16 | i64{b[2]} << 8 | b[3];
    if (extent == 0) reader->fail("an extent of 0");
    if (i > 0 && extent > kMaxSide) reader->fail("an image side of " + std::to_string(extent));
    // At most 2^32 * 2^12 * 2^12 * 2^12 would still overflow nothing, but the file decides long before.
    if (extent > reader->at_most() / count)
      reader->fail("the header claims more data than the file can hold (" + std::to_string(extent) + " x " +
                   std::to_string(count) + " bytes)");
    count *= extent;
    extents.push_back(extent);
  }
  Tensor out = Tensor::empty(Shape(extents), DType::u8);
  reader->read(out.data<u8>(), count);
  reader->finish();
  return out;
}

Dataset read_idx_pair(const std::string& images, const std::string& labels,
                      std::vector<std::string> classes) {
  const Tensor tags = read_idx(labels);
  if (tags.rank() != 1)
    throw input_error(labels + ": wanted a list of labels (rank 1), got " + tags.shape().str());
  const Tensor pictures = read_idx(images);
  if (pictures.rank() != 3)
    throw input_error(images + ": wanted images (rank 3), got " + pictures.shape().str());
  if (pictures.extent(0) != tags.extent(0))
    throw input_error(images + ": " + std::to_string(pictures.extent(0)) + " images, but " + labels +
                      " has " + std::to_string(tags.extent(0)) + " labels");
  Dataset out;
  out.images = pictures.reshape({pictures.extent(0), pictures.extent(1), pictures.extent(2), 1});
  out.classes = std::move(classes);
  for (u8 label : tags.values<u8>()) {
    if (label >= out.classes.size())
      throw input_error(labels + ": label " + std::to_string(label) + " of sample " +
                        std::to_string(out.labels.size()) + ", wanted below " +
                        std::to_string(out.classes.size()));
    out.labels.push_back(label);
  }
  return out;
}

}  // namespace offramp::data
