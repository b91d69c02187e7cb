#include <algorithm>
#include <cstring>
#include <filesystem>

#include "data/decode.h"
#include "data/formats.h"
#include "kernels/error.h"

namespace offramp::data {

namespace {

namespace fs = std::filesystem;

constexpr i64 kDefaultSide = 64;
constexpr i64 kMaxTotal = i64{1} << 34;  // bytes of all images together

std::vector<fs::path> sorted_entries(const std::string& folder) {
  std::error_code problem;
  std::vector<fs::path> out;
  for (fs::directory_iterator it(folder, problem), end; !problem && it != end; it.increment(problem))
    if (it->path().filename().string()[0] != '.') out.push_back(it->path());
  if (problem) throw input_error("cannot list the folder " + folder + ": " + problem.message());
  std::sort(out.begin(), out.end());
  return out;
}

bool is_image(const fs::path& path) {
  std::string ending = path.extension().string();
  for (char& c : ending) c = char(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return ending == ".png" || ending == ".jpg" || ending == ".jpeg" || ending == ".bmp";
}

}  // namespace

Dataset read_image_folder(const std::string& folder, i64 side) {
  if (side < 0 || side > 1024)
    throw usage_error("an image size of " + std::to_string(side) + ", wanted 1 to 1024");
  Dataset out{.name = "folder:" + folder};
  std::vector<std::string> files;
  std::error_code ignored;
  for (const fs::path& entry : sorted_entries(folder)) {
    if (!fs::is_directory(entry, ignored)) continue;
    const size_t before = files.size();
    for (const fs::path& file : sorted_entries(entry.string()))
      if (is_image(file)) files.push_back(file.string());
    if (files.size() == before)
      throw input_error("the class folder " + entry.string() + " holds no .png, .jpg, .jpeg or .bmp file");
    out.labels.insert(out.labels.end(), files.size() - before, i64(out.classes.size()));
    out.classes.push_back(entry.filename().string());
  }
  if (files.empty()) throw input_error(folder + ": wanted one sub-folder of images per class, found none");

  // First the headers: channels and, where not given, the common size.
  i64 channels = 1;
  bool same = true;
  ImageSize first{};
  for (const std::string& file : files) {
    const ImageSize s = image_size(file);
    if (&file == &files.front()) first = s;
    same = same && s.height == first.height && s.width == first.width;
    channels = std::max(channels, s.channels);
  }
  i64 height = side, width = side;
  if (side == 0) {
    const bool keep = same && first.height <= kDefaultSide && first.width <= kDefaultSide;
    height = keep ? first.height : kDefaultSide;
    width = keep ? first.width : kDefaultSide;
  }
  const i64 bytes = height * width * channels;
  if (i64(files.size()) > kMaxTotal / bytes)
    throw input_error(folder + ": " + std::to_string(files.size()) + " images of " + std::to_string(height) +
                      " x " + std::to_string(width) + " pixels are too many; a smaller image size helps");
  out.images = Tensor::empty({i64(files.size()), height, width, channels}, DType::u8);
  u8* to = out.images.data<u8>();
  for (const std::string& file : files) {
    const Tensor image = resize_image(decode_image(file, channels), height, width);
    std::memcpy(to, image.data<u8>(), size_t(bytes));
    to += bytes;
  }
  return out;
}

}  // namespace offramp::data
