// The data sets by name: where they are looked for, loading, verifying.
#pragma once
#include <string>
#include <vector>

#include "data/dataset.h"

namespace offramp::data {

struct DatasetInfo {
  std::string name, description;
  i64 train = 0,
      test = 0;  // official counts; train includes what the tune split takes; 0: depends on the folder
  i64 height = 0, width = 0, channels = 0, classes = 0;
  std::vector<std::string> files;  // official names, relative to a search folder (IDX also as .gz)
  std::string source;              // Debian package or URL to get it from; empty for built-in data
};

// cifar10, cifar100, svhn, fashion-mnist, mnist, synthetic. A folder of images is named "folder:PATH".
const std::vector<DatasetInfo>& known_datasets();

// Throws Error(usage) with the nearest spelling for an unknown name.
DatasetInfo info_of(const std::string& name);

struct Found {
  bool found = false;
  std::string folder;               // where its files are; empty for built-in data
  std::vector<std::string> files;   // paths in use, in the order of DatasetInfo::files
  std::vector<std::string> looked;  // every folder looked at
};
Found find(const std::string& name, const std::vector<std::string>& search_dirs);
// The same, but Error(input) when it is not there: every folder looked at, what is lacking, where to get it.
Found require(const std::string& name, const std::vector<std::string>& search_dirs);

struct LoadOptions {
  std::vector<std::string> dirs;  // search folders, best first
  u64 seed = 0;                   // of the tune split and of the subsets; never of the test split
  i64 train_samples = 0;          // use only so many, stratified; 0: all
  i64 tune_samples = 0;           // 0: a tenth of the official training set
  i64 test_samples = 0;           // 0: all
  i64 image_size = 0;      // folder: common height and width; 0: theirs if all agree and <= 64, else 64
  u64 synthetic_seed = 1;  // of the generated images
  bool want_train = true;  // false: train and tune stay empty (saves reading them)
  bool want_test = true;
};

// Splits: tune is a stratified part of the official training set, test is the official test set. Folders of
// images: a fifth is test (the same for every seed), a tenth tune. Throws Error(usage) for an unknown name or
// counts that exceed the set; Error(input) when files are missing (listing where they were looked for and how
// to get them) or damaged (naming file and offset).
Splits load(const std::string& name, const LoadOptions& options);

struct Check {
  std::string file, what;  // e.g. "train-images-idx3-ubyte.gz", "60000 images 28x28, checksum as published"
  bool passed = false;
};
// Sizes, magic numbers, counts, and checksums where official ones are known. Missing files: Error(input) as
// in load.
std::vector<Check> verify(const std::string& name, const std::vector<std::string>& dirs);

}  // namespace offramp::data
