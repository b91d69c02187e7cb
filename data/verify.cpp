#include <algorithm>
#include <map>

#include "data/catalog.h"
#include "data/formats.h"
#include "data/md5.h"
#include "kernels/error.h"
#include "tensor/file.h"

namespace offramp::data {

namespace {

// MD5 of the unpacked IDX files and of the .mat files, as widely published (the Debian package's
// Fashion-MNIST has the same contents in freshly packed files, hence the unpacked form). No per-file sums are
// published for CIFAR's binary version: its structure and class counts are checked.
std::string published_md5(const std::string& name, const std::string& file) {
  static const std::map<std::string, std::string> sums{
      {"mnist/train-images-idx3-ubyte", "6bbc9ace898e44ae57da46a324031adb"},
      {"mnist/train-labels-idx1-ubyte", "a25bea736e30d166cdddb491f175f624"},
      {"mnist/t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea"},
      {"mnist/t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637"},
      {"fashion-mnist/train-images-idx3-ubyte", "f4a8712d7a061bf5bd6d2ca38dc4d50a"},
      {"fashion-mnist/train-labels-idx1-ubyte", "9018921c3c673c538a1fc5bad174d6f9"},
      {"fashion-mnist/t10k-images-idx3-ubyte", "8181f5470baa50b63fa0f6fddb340f0a"},
      {"fashion-mnist/t10k-labels-idx1-ubyte", "15d484375f8d13e6eb1aabb0c3f46965"},
      {"svhn/train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373"},
      {"svhn/test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3"},
  };
  return sums.at(name + "/" + file);
}

// The bytes an IDX file unpacks to: its header is determined by the shape.
std::string md5_of_idx(const Tensor& t) {
  std::string head{'\0', '\0', '\x08', char(t.rank())};
  for (i64 e : t.shape().extents())
    for (int shift : {24, 16, 8, 0}) head += char(e >> shift & 255);
  Md5 sum;
  sum.add(std::as_bytes(std::span(head)));
  sum.add(t.bytes());
  return sum.hex();
}

Check check_idx(const std::string& name, const DatasetInfo& info, size_t i, const std::string& path) {
  const i64 n = i < 2 ? info.train : info.test;
  const Shape wanted = i % 2 == 0 ? Shape{n, info.height, info.width} : Shape{n};
  const Tensor t = read_idx(path);
  if (t.shape() != wanted) return {path, "shape " + t.shape().str() + ", wanted " + wanted.str()};
  const std::string sum = md5_of_idx(t), right = published_md5(name, info.files[i]);
  if (sum != right) return {path, "md5 of the contents " + sum + ", published " + right};
  return {path, t.shape().str() + ", md5 of the contents as published", true};
}

Check check_svhn(const DatasetInfo& info, size_t i, const std::string& path) {
  const i64 wanted = i == 0 ? info.train : info.test;
  const Dataset set = read_svhn(path, std::vector<std::string>(10));
  if (set.size() != wanted)
    return {path, std::to_string(set.size()) + " images, wanted " + std::to_string(wanted)};
  const std::string sum = md5_of_file(path), right = published_md5("svhn", info.files[i]);
  if (sum != right) return {path, "md5 " + sum + ", published " + right};
  return {path, std::to_string(set.size()) + " images, md5 as published", true};
}

std::vector<Check> check_cifar(const DatasetInfo& info, const std::vector<std::string>& files) {
  std::vector<Check> out;
  const i64 label_bytes = info.classes == 100 ? 2 : 1, record = label_bytes + 3072;
  std::vector<i64> train_classes(size_t(info.classes)), test_classes(size_t(info.classes));
  for (size_t i = 0; i < files.size(); ++i) {
    const bool test = i + 1 == files.size();
    const i64 records = test ? info.test : info.train / i64(files.size() - 1);
    const i64 size = InputFile(files[i]).size();
    if (size != records * record) {
      out.push_back({files[i], std::to_string(size) + " bytes, wanted " + std::to_string(records * record)});
      continue;
    }
    const Dataset part = read_cifar({files[i]}, label_bytes, std::vector<std::string>(size_t(info.classes)));
    for (i64 label : part.labels) ++(test ? test_classes : train_classes)[size_t(label)];
    out.push_back({files[i], std::to_string(records) + " records, labels in range", true});
  }
  const auto even = [&](const std::vector<i64>& counts, i64 total) {
    return std::all_of(counts.begin(), counts.end(), [&](i64 n) { return n == total / info.classes; });
  };
  const bool passed = even(train_classes, info.train) && even(test_classes, info.test);
  out.push_back({files.front(),
                 passed ? std::to_string(info.train / info.classes) + " training and " +
                              std::to_string(info.test / info.classes) + " test images of each class"
                        : "the classes are not equally frequent, as they are in the official files",
                 passed});
  return out;
}

}  // namespace

std::vector<Check> verify(const std::string& name, const std::vector<std::string>& dirs) {
  const DatasetInfo info = info_of(name);
  const Found found = require(name, dirs);
  if (name == "synthetic") return {{"", "built in: nothing to verify", true}};
  if (info.files.empty()) {
    const Dataset all = read_image_folder(found.folder, 0);
    return {{found.folder,
             std::to_string(all.size()) + " images in " + std::to_string(all.classes.size()) +
                 " classes, all readable",
             true}};
  }
  if (name == "cifar10" || name == "cifar100") return check_cifar(info, found.files);
  std::vector<Check> out;
  for (size_t i = 0; i < found.files.size(); ++i) {
    try {
      out.push_back(name == "svhn" ? check_svhn(info, i, found.files[i])
                                   : check_idx(name, info, i, found.files[i]));
    } catch (const Error& e) {
      const std::string what = e.what(), prefix = found.files[i] + ": ";
      out.push_back({found.files[i], what.rfind(prefix, 0) == 0 ? what.substr(prefix.size()) : what});
    }
  }
  return out;
}

}  // namespace offramp::data
