#include "data/catalog.h"

#include <sys/stat.h>

#include "data/formats.h"
#include "data/synthetic.h"
#include "kernels/error.h"
#include "kernels/nearest.h"

namespace offramp::data {

namespace {

constexpr char kFolderPrefix[] = "folder:";
constexpr i64 kSyntheticTrain = 10000, kSyntheticTune = 2000, kSyntheticTest = 4000;
// Labels of the random streams that choose samples.
enum Stream : u64 { kTune = 101, kTrainSubset, kTestSubset, kFolderTest };

bool is_folder_name(const std::string& name) { return name.rfind(kFolderPrefix, 0) == 0; }
std::string folder_of(const std::string& name) { return name.substr(sizeof kFolderPrefix - 1); }

bool is_file(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}
bool is_folder(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

const std::vector<std::string> kIdxFiles{"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                         "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};

bool is_idx(const std::string& name) { return name == "mnist" || name == "fashion-mnist"; }

// Sub-folders of a search folder that may hold the set, best first; "" is the folder itself.
std::vector<std::string> places(const std::string& name) {
  if (is_idx(name)) return {"/" + name, ""};
  if (name == "cifar10") return {"/cifar-10-batches-bin", ""};
  if (name == "cifar100") return {"/cifar-100-binary", ""};
  return {"", "/" + name};
}

// The path of an official file in `folder`, "" when it is not there. IDX files may be compressed.
std::string file_in(const std::string& folder, const std::string& file, bool may_be_gz) {
  const std::string path = folder + "/" + file;
  if (is_file(path)) return path;
  if (may_be_gz && is_file(path + ".gz")) return path + ".gz";
  return "";
}

std::vector<std::string> digits() { return {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}; }

std::vector<std::string> class_names(const std::string& name) {
  if (name == "cifar10")
    return {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
  if (name == "fashion-mnist")
    return {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
            "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
  if (name == "cifar100")
    return {"apple",       "aquarium_fish", "baby",      "bear",       "beaver",       "bed",
            "bee",         "beetle",        "bicycle",   "bottle",     "bowl",         "boy",
            "bridge",      "bus",           "butterfly", "camel",      "can",          "castle",
            "caterpillar", "cattle",        "chair",     "chimpanzee", "clock",        "cloud",
            "cockroach",   "couch",         "crab",      "crocodile",  "cup",          "dinosaur",
            "dolphin",     "elephant",      "flatfish",  "forest",     "fox",          "girl",
            "hamster",     "house",         "kangaroo",  "keyboard",   "lamp",         "lawn_mower",
            "leopard",     "lion",          "lizard",    "lobster",    "man",          "maple_tree",
            "motorcycle",  "mountain",      "mouse",     "mushroom",   "oak_tree",     "orange",
            "orchid",      "otter",         "palm_tree", "pear",       "pickup_truck", "pine_tree",
            "plain",       "plate",         "poppy",     "porcupine",  "possum",       "rabbit",
            "raccoon",     "ray",           "road",      "rocket",     "rose",         "sea",
            "seal",        "shark",         "shrew",     "skunk",      "skyscraper",   "snail",
            "snake",       "spider",        "squirrel",  "streetcar",  "sunflower",    "sweet_pepper",
            "table",       "tank",          "telephone", "television", "tiger",        "tractor",
            "train",       "trout",         "tulip",     "turtle",     "wardrobe",     "whale",
            "willow_tree", "wolf",          "woman",     "worm"};
  return digits();
}

Dataset read_part(const std::string& name, const std::vector<std::string>& files, bool train) {
  Dataset out;
  if (is_idx(name))
    out = read_idx_pair(files[train ? 0 : 2], files[train ? 1 : 3], class_names(name));
  else if (name == "svhn")
    out = read_svhn(files[train ? 0 : 1], class_names(name));
  else if (name == "cifar100")
    out = read_cifar({files[train ? 0 : 1]}, 2, class_names(name));
  else if (train)
    out = read_cifar({files.begin(), files.begin() + 5}, 1, class_names(name));
  else
    out = read_cifar({files[5]}, 1, class_names(name));
  out.name = name;
  return out;
}

// Cuts the pool into train and tune and takes the subsets asked for.
void split_pool(const Dataset& pool, const LoadOptions& o, i64 tune_by_default, Splits& out) {
  const Rng rng(o.seed);
  const i64 tune_count = o.tune_samples > 0 ? o.tune_samples : tune_by_default;
  if (tune_count >= pool.size() || o.train_samples > pool.size() - tune_count)
    throw usage_error(pool.name + ": wanted " +
                      (o.train_samples > 0 ? std::to_string(o.train_samples) : "some") +
                      " samples to train and " + std::to_string(tune_count) +
                      " to tune, the training set has " + std::to_string(pool.size()));
  const std::vector<i64> tune = stratified(pool.labels, tune_count, rng.derive(kTune));
  std::vector<i64> train = others(pool.size(), tune);
  if (o.train_samples > 0 && o.train_samples < i64(train.size())) {
    std::vector<i64> labels;
    for (i64 i : train) labels.push_back(pool.labels[size_t(i)]);
    std::vector<i64> kept;
    for (i64 i : stratified(labels, o.train_samples, rng.derive(kTrainSubset)))
      kept.push_back(train[size_t(i)]);
    train = std::move(kept);
  }
  out.train = subset(pool, train);
  out.tune = subset(pool, tune);
}

// The subset of the test set never depends on the seed: runs with different seeds stay comparable.
Dataset test_part(Dataset all, i64 count) {
  if (count == 0 || count == all.size()) return all;
  if (count > all.size())
    throw usage_error(all.name + ": wanted " + std::to_string(count) + " samples to test, there are " +
                      std::to_string(all.size()));
  return subset(all, stratified(all.labels, count, Rng(0).derive(kTestSubset)));
}

[[noreturn]] void missing(const DatasetInfo& info, const Found& found) {
  std::string message = "data set " + info.name + " not found: looked in";
  if (found.looked.empty()) message += " no folder (none was given)";
  for (size_t i = 0; i < found.looked.size(); ++i) message += (i ? ", " : " ") + found.looked[i];
  message += " for " + info.files.front() + (is_idx(info.name) ? "[.gz]" : "");
  if (info.files.size() > 1) message += " and " + std::to_string(info.files.size() - 1) + " more";
  for (const std::string& folder : found.looked) {
    std::string absent;
    size_t present = 0;
    for (const std::string& file : info.files) {
      if (!file_in(folder, file, is_idx(info.name)).empty())
        ++present;
      else if (absent.empty())
        absent = file;
    }
    if (present > 0) message += "; " + folder + " lacks " + absent;
  }
  throw input_error(message + "; get it from " + info.source);
}

}  // namespace

const std::vector<DatasetInfo>& known_datasets() {
  static const std::vector<DatasetInfo> all{
      {.name = "cifar10",
       .description = "photographs in 10 classes",
       .train = 50000,
       .test = 10000,
       .height = 32,
       .width = 32,
       .channels = 3,
       .classes = 10,
       .files = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
                 "data_batch_5.bin", "test_batch.bin"},
       .source = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"},
      {.name = "cifar100",
       .description = "photographs in 100 classes",
       .train = 50000,
       .test = 10000,
       .height = 32,
       .width = 32,
       .channels = 3,
       .classes = 100,
       .files = {"train.bin", "test.bin"},
       .source = "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"},
      {.name = "svhn",
       .description = "house numbers, cropped digits",
       .train = 73257,
       .test = 26032,
       .height = 32,
       .width = 32,
       .channels = 3,
       .classes = 10,
       .files = {"train_32x32.mat", "test_32x32.mat"},
       .source = "http://ufldl.stanford.edu/housenumbers/ (train_32x32.mat, test_32x32.mat)"},
      {.name = "fashion-mnist",
       .description = "grey pictures of clothes",
       .train = 60000,
       .test = 10000,
       .height = 28,
       .width = 28,
       .channels = 1,
       .classes = 10,
       .files = kIdxFiles,
       .source =
           "the Debian package dataset-fashion-mnist or https://github.com/zalandoresearch/fashion-mnist"},
      {.name = "mnist",
       .description = "handwritten digits",
       .train = 60000,
       .test = 10000,
       .height = 28,
       .width = 28,
       .channels = 1,
       .classes = 10,
       .files = kIdxFiles,
       .source = "https://ossci-datasets.s3.amazonaws.com/mnist/"},
      {.name = "synthetic",
       .description = "generated shapes of known difficulty",
       .train = kSyntheticTrain + kSyntheticTune,
       .test = kSyntheticTest,
       .height = 32,
       .width = 32,
       .channels = 3,
       .classes = 10},
  };
  return all;
}

DatasetInfo info_of(const std::string& name) {
  if (is_folder_name(name)) {
    if (folder_of(name).empty()) throw usage_error("folder: wants a path behind it, e.g. folder:photos");
    return {.name = name,
            .description = "a folder of images, one sub-folder per class",
            .source = "your own files"};
  }
  std::vector<std::string> names;
  for (const DatasetInfo& info : known_datasets()) {
    if (info.name == name) return info;
    names.push_back(info.name);
  }
  names.push_back("folder:PATH");
  throw usage_error("unknown data set '" + name + "'" + did_you_mean(name, names));
}

Found find(const std::string& name, const std::vector<std::string>& search_dirs) {
  const DatasetInfo info = info_of(name);
  Found out;
  if (is_folder_name(name)) {
    out.folder = folder_of(name);
    out.looked = {out.folder};
    out.found = is_folder(out.folder);
    return out;
  }
  if (info.files.empty()) {
    out.found = true;
    return out;
  }
  for (const std::string& dir : search_dirs) {
    if (dir.empty()) continue;
    for (const std::string& place : places(name)) {
      const std::string folder =
          (dir.back() == '/' && dir.size() > 1 ? dir.substr(0, dir.size() - 1) : dir) + place;
      out.looked.push_back(folder);
      std::vector<std::string> files;
      for (const std::string& file : info.files) {
        std::string path = file_in(folder, file, is_idx(name));
        if (path.empty()) break;
        files.push_back(std::move(path));
      }
      if (files.size() != info.files.size()) continue;
      out.found = true;
      out.folder = folder;
      out.files = std::move(files);
      return out;
    }
  }
  return out;
}

Found require(const std::string& name, const std::vector<std::string>& search_dirs) {
  Found found = find(name, search_dirs);
  if (found.found) return found;
  if (is_folder_name(name)) throw input_error("no folder " + found.folder + " (data set " + name + ")");
  missing(info_of(name), found);
}

Splits load(const std::string& name, const LoadOptions& o) {
  if (o.train_samples < 0 || o.tune_samples < 0 || o.test_samples < 0)
    throw usage_error("numbers of samples must not be negative");
  const Found found = require(name, o.dirs);
  Splits out;
  if (name == "synthetic") {
    const i64 tune = o.tune_samples > 0 ? o.tune_samples : kSyntheticTune;
    const i64 train = o.train_samples > 0 ? o.train_samples : kSyntheticTrain;
    constexpr i64 kMost = 1'000'000;
    if (tune > kMost || train > kMost || o.test_samples > kMost)
      throw usage_error("synthetic: at most " + std::to_string(kMost) + " samples a split");
    if (o.want_train) split_pool(synthetic(o.synthetic_seed, 0, train + tune), o, kSyntheticTune, out);
    if (o.want_test)
      out.test = synthetic(o.synthetic_seed, 1, o.test_samples > 0 ? o.test_samples : kSyntheticTest);
    return out;
  }
  if (is_folder_name(name)) {
    const Dataset all = read_image_folder(found.folder, o.image_size);
    const std::vector<i64> test = stratified(all.labels, all.size() / 5, Rng(0).derive(kFolderTest));
    if (o.want_train) split_pool(subset(all, others(all.size(), test)), o, all.size() / 10, out);
    if (o.want_test) out.test = test_part(subset(all, test), o.test_samples);
    return out;
  }
  if (o.want_train) {
    const Dataset pool = read_part(name, found.files, true);
    split_pool(pool, o, pool.size() / 10, out);
  }
  if (o.want_test) out.test = test_part(read_part(name, found.files, false), o.test_samples);
  return out;
}

}  // namespace offramp::data
