// Who may include whom: greps the includes of the sources.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace offramp {
namespace {

namespace fs = std::filesystem;

bool starts_with_any(const std::string& s, const std::vector<std::string>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const std::string& p) { return s.starts_with(p); });
}

// The longest of these prefixes that a path begins with decides; its value is what the file may include from
// here.
const std::map<std::string, std::vector<std::string>> kMayInclude = {
    {"kernels/", {"kernels/"}},
    {"tensor/", {"kernels/", "tensor/"}},
    {"autograd/", {"kernels/", "tensor/", "autograd/"}},
    {"data/", {"kernels/", "tensor/", "data/"}},
    {"nn/", {"kernels/", "tensor/", "autograd/", "nn/"}},
    {"nn/plan/", {"kernels/", "tensor/", "nn/plan/"}},
    {"nas/", {"kernels/", "tensor/", "autograd/", "nn/", "data/", "nas/"}},
};

// Outside libraries and the folders that are their doors.
struct Foreign {
  std::string header;  // prefix
  std::vector<std::string> doors;
};
const std::vector<Foreign> kForeign = {
    {"cblas", {"kernels/"}},
    {"openblas", {"kernels/"}},
    {"omp.h", {"kernels/"}},
    {"cuda", {"kernels/"}},
    {"cublas", {"kernels/"}},
    {"cudnn", {"kernels/"}},
    {"immintrin.h", {"kernels/vec/"}},
    {"stb", {"data/"}},
    {"zlib.h", {"data/", "tests/data/"}},
    {"sqlite3.h", {"nas/"}},
    {"nlohmann/", {"nas/", "nn/plan/", "tensor/safetensors"}},  // also where model files are read
    {"toml", {"nas/"}},
    {"CLI/", {"nas/"}},
    {"benchmark/", {"bench/"}},
    {"gtest/", {"tests/"}},
    {"gmock/", {"tests/"}},
    {"tests/", {"tests/"}},
    {"bench/", {"bench/"}},
};

// C headers that a target-specific file may include: nothing with inline C++ functions in it.
const std::vector<std::string> kPlainC = {"math.h",   "stddef.h", "stdint.h",
                                          "string.h", "float.h",  "limits.h"};

bool is_target_file(const std::string& path) {
  for (const char* suffix : {"_avx2.cpp", "_avx512.cpp", "_neon.cpp"})
    if (path.ends_with(suffix)) return true;
  return path.starts_with("kernels/") && path.ends_with(".inc");
}

// Headers included by target files: structs and declarations, no functions. Rows headers declare, call
// headers hold structs; the weak-symbol test shows that nothing else slips in.
bool fits_target_file(const std::string& header) {
  if (std::find(kPlainC.begin(), kPlainC.end(), header) != kPlainC.end()) return true;
  if (starts_with_any(header, {"kernels/vec/", "kernels/types.h", "immintrin.h"})) return true;
  for (const char* suffix : {"_call.h", "_rows.h", "/tiles.h", ".inc"})
    if (header.starts_with("kernels/") && header.ends_with(suffix)) return true;
  return false;
}

// Empty when `path` may include `header`, else the reason.
std::string refusal(const std::string& path, const std::string& header) {
  if (starts_with_any(path, {"tests/", "bench/"})) return "";  // may include all
  if (is_target_file(path) && !fits_target_file(header))
    return "target files take structs and plain C headers only";
  for (const Foreign& f : kForeign)
    if (header.starts_with(f.header) && !starts_with_any(path, f.doors))
      return "not the door of this library";
  const std::vector<std::string>* allowed = nullptr;
  size_t longest = 0;
  for (const auto& [prefix, headers] : kMayInclude)
    if (path.starts_with(prefix) && prefix.size() > longest) {
      allowed = &headers;
      longest = prefix.size();
    }
  if (!allowed) return "";
  for (const auto& [prefix, unused] : kMayInclude)
    if (header.starts_with(prefix) && !starts_with_any(header, *allowed)) return "an upward include";
  return "";
}

struct Include {
  std::string path, header;
};

std::vector<Include> includes_of(const fs::path& root) {
  std::vector<Include> found;
  for (const char* folder : {"kernels", "tensor", "autograd", "nn", "data", "nas", "bench", "tests"}) {
    if (!fs::exists(root / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      const std::string extension = entry.path().extension().string();
      if (extension != ".h" && extension != ".cpp" && extension != ".inc" && extension != ".cu") continue;
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) {
        if (!line.starts_with("#include")) continue;
        const size_t open = line.find_first_of("<\""), close = line.find_first_of(">\"", open + 1);
        if (close == std::string::npos) continue;
        found.push_back(
            {fs::relative(entry.path(), root).generic_string(), line.substr(open + 1, close - open - 1)});
      }
    }
  }
  return found;
}

TEST(Layering, IncludesGoDownwardAndThroughTheDoors) {
  const auto includes = includes_of(OFFRAMP_SOURCE_DIR);
  ASSERT_GT(includes.size(), 100u);
  for (const Include& i : includes) {
    const std::string why = refusal(i.path, i.header);
    EXPECT_TRUE(why.empty()) << i.path << " includes " << i.header << ": " << why;
  }
}

TEST(Layering, TheRulesRefuseWhatTheyShould) {
  for (const Include& i :
       {Include{"kernels/exec.cpp", "tensor/tensor.h"}, Include{"tensor/tensor.h", "nn/module.h"},
        Include{"data/dataset.cpp", "autograd/variable.h"}, Include{"nn/plan/plan.h", "nn/module.h"},
        Include{"nn/module.cpp", "nas/space/space.h"}, Include{"nn/module.cpp", "sqlite3.h"},
        Include{"tensor/tensor.cpp", "cblas.h"}, Include{"autograd/variable.cpp", "omp.h"},
        Include{"kernels/exec.cpp", "tests/support/fill.h"},
        Include{"kernels/gemm/gemm_avx512.cpp", "algorithm"},
        Include{"kernels/gemm/gemm_avx2.cpp", "kernels/exec.h"},
        Include{"kernels/gemm/body.inc", "kernels/gemm/tile_engine.h"}})
    EXPECT_FALSE(refusal(i.path, i.header).empty()) << i.path << " " << i.header;
  for (const Include& i :
       {Include{"nn/module.h", "nn/plan/plan.h"}, Include{"nas/cli/main.cpp", "data/dataset.h"},
        Include{"kernels/gemm/gemm_avx512.cpp", "kernels/vec/avx512.h"},
        Include{"tests/kernels/x.cpp", "nas/cli/verbs.h"}, Include{"data/gzip.cpp", "zlib.h"}})
    EXPECT_TRUE(refusal(i.path, i.header).empty()) << i.path << " " << i.header;
}

}  // namespace
}  // namespace offramp
