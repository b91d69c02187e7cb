// Readers of the official file formats. Every one throws Error(input) naming file and offset for what is
// missing, damaged or cut short, and checks sizes against the file before it allocates.
#pragma once
#include <string>
#include <vector>

#include "data/dataset.h"

namespace offramp::data {

// IDX (plain or gzip, told apart by content) of unsigned bytes, rank 1 to 4. Source: LeCun, "THE IDX FILE
// FORMAT".
Tensor read_idx(const std::string& path);

// Images [n,h,w] and labels [n] as a grey set. Labels must be below `classes`.
Dataset read_idx_pair(const std::string& images, const std::string& labels, std::vector<std::string> classes);

// CIFAR binary: records of `label_bytes` (the last one is used) and 3072 bytes, planar red, green, blue.
// Source: Krizhevsky 2009, "Learning multiple layers of features from tiny images", and the data's web page.
Dataset read_cifar(const std::vector<std::string>& files, i64 label_bytes, std::vector<std::string> classes);

// SVHN cropped digits: MATLAB level 5 with X uint8 [32,32,3,n] and y [n,1], label 10 being digit 0.
// Source: Netzer et al. 2011; MathWorks, "MAT-File Format".
Dataset read_svhn(const std::string& path, std::vector<std::string> classes);

// One sub-folder per class, sorted by name; png, jpg, jpeg, bmp files in it, sorted by name. side 0: see
// LoadOptions.
Dataset read_image_folder(const std::string& folder, i64 side);

}  // namespace offramp::data
