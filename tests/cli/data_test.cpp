#include "tests/cli/shell.h"

namespace offramp::testing {
namespace {

TEST(DataVerb, ListKnowsTheOrderOfTheFolders) {
  const TempDir dir;
  const auto list = sh("OFFRAMP_DATA=" + dir / "env" + " XDG_DATA_HOME=" + dir / "xdg" +
                       " \"$offramp\" data list --data-dir " + dir / "flag" + " --json")
                        .json();
  EXPECT_EQ(list["schema_version"], 1);
  EXPECT_EQ(list["search_dirs"], (std::vector<std::string>{dir / "flag", dir / "env", dir / "xdg/offramp",
                                                           "/usr/share/datasets"}));
  std::vector<std::string> names;
  for (const auto& set : list["datasets"]) names.push_back(set["name"]);
  for (const char* name : {"cifar10", "cifar100", "svhn", "fashion-mnist", "mnist", "synthetic"})
    EXPECT_NE(std::find(names.begin(), names.end(), name), names.end()) << name;
}

TEST(DataVerb, InfoOfSynthetic) {
  const auto info = offramp_run("data info synthetic --json").json();
  EXPECT_EQ(info["splits"]["train"]["samples"], 10000);
  EXPECT_EQ(info["splits"]["tune"]["samples"], 2000);
  EXPECT_EQ(info["splits"]["test"]["samples"], 4000);
  EXPECT_EQ(info["channels"], 3);
  EXPECT_EQ(info["mean"].size(), 3u);
  EXPECT_EQ(info["splits"]["test"]["histogram"], std::vector<int>(10, 400));
}

// Two images of 2x2 pixels and two labels, in the official layout.
void write_idx(const TempDir& dir, const std::string& prefix, const std::string& pixels) {
  const std::string images("\0\0\x08\x03\0\0\0\x02\0\0\0\x02\0\0\0\x02", 16),
      labels("\0\0\x08\x01\0\0\0\x02", 8);
  dir.write("mnist/" + prefix + "-images-idx3-ubyte", images + pixels);
  dir.write("mnist/" + prefix + "-labels-idx1-ubyte", labels + std::string("\x00\x01", 2));
}

TEST(DataVerb, MissingAndDamagedFilesAreInputErrors) {
  const TempDir dir;
  expect_failure("data info svhn -q --data-dir " + dir.path(), 3, "svhn");
  expect_failure("data verify cifar10 --data-dir " + dir.path(), 3, "cifar");
  expect_failure("data info cifra10 -q", 2, "did you mean 'cifar10'");
  expect_failure("data info folder:/nonexistent -q", 3, "/nonexistent");
  expect_failure("data fetch cifar10", 2, "not in this build");
  for (const char* prefix : {"train", "t10k"}) write_idx(dir, prefix, "12345678");
  // Well formed, but not what was published.
  const Ran verify = offramp_run("data verify mnist --json --data-dir " + dir.path());
  EXPECT_EQ(verify.code, 3) << verify.err;
  EXPECT_EQ(verify.json()["ok"], false);
  write_idx(dir, "train", "123");
  expect_failure("data info mnist -q --data-dir " + dir.path(), 3, "train-images-idx3-ubyte");
}

}  // namespace
}  // namespace offramp::testing
