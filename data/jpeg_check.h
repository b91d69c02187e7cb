// Walks a JPEG file before it is decoded. stb_image up to 2.27 trusts Huffman tables: more than 256 codes
// overrun its arrays, and a scan may use a table that was never sent.
#pragma once
#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "kernels/types.h"

namespace offramp::data {

struct JpegProblem {
  size_t offset;
  std::string what;
};

// Empty when the file is whole - start to end marker, baseline or progressive - with every segment inside the
// file, every table of a sane size and every scan's tables defined before it.
std::optional<JpegProblem> jpeg_problem(std::span<const u8> bytes);

}  // namespace offramp::data
