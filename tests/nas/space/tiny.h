// A space small enough to be enumerated, with everything that makes counting hard: duplicated values, layers
// that may be absent in two ways, genes that only some layer types use, exits with and without thresholds.
#pragma once

namespace offramp::testing {

inline constexpr const char* kTinySpace = R"toml(
resolution = [16, 24, 16]
[stem]
kernel = 3
stride = 2
width = [8, 8]
[[stage]]
stride = 1
width = 8
depth = [1, 2]
kernel = [3, 5]
expand = 2
[[stage]]
stride = 2
width = 16
depth = 1
kernel = 3
expand = 2
[[stage]]
stride = 1
width = 16
depth = 1
kernel = 3
expand = 2
[[exit]]
after = 1
threshold = [0.1, 1, 0.5]
[[exit.module]]
type = "resize_conv"
ext = [0, 8, 8]
kernel = [3, 5]
times = 1
pool = [0, 1]
[[exit]]
after = 2
present = [0, 1, 1]
depth = [0, 1, 2]
[[exit.module]]
type = ["pool", "dense", "pool"]
kernel = [3, 5]
width = 8
stride = [1, 2]
[[exit.module]]
type = ["pointwise", "mbconv"]
kernel = 3
width = [8, 16]
expand = 2
)toml";

}  // namespace offramp::testing
