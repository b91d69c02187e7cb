// What `offramp op` refuses, and how it writes.
#include <filesystem>

#include "tensor/npy.h"
#include "tests/cli/shell.h"

namespace offramp::testing {
namespace {

class Op : public ::testing::Test {
 protected:
  // A file with a tensor of the given shape, filled with `value`.
  std::string array(const std::string& name, Shape shape, DType dtype = DType::f32, double value = 0.5) {
    write_npy(dir_ / (name + ".npy"), Tensor::full(std::move(shape), value, dtype));
    return dir_ / (name + ".npy");
  }
  std::string out() { return " --out-dir " + dir_ / "out"; }
  void refused(const std::string& words, int code, const std::string& part) {
    expect_failure("op " + words + out(), code, part);
    EXPECT_FALSE(std::filesystem::exists(dir_ / "out")) << words;
  }
  TempDir dir_;
};

TEST_F(Op, WritesOutputsAndGradients) {
  const std::string words = "op conv2d --in x=" + array("x", {1, 4, 5, 3}) +
                            " --in w=" + array("w", {2, 3, 3, 3}) + " --attr pad=1 --grad " +
                            array("gy", {1, 4, 5, 2}) + out() + " --json";
  const Ran ran = offramp_run(words);
  ASSERT_EQ(ran.code, 0) << ran.err;
  const auto json = ran.json();
  EXPECT_EQ(json["schema_version"], 1);
  EXPECT_EQ(json["outputs"].size(), 3u);
  EXPECT_EQ(json["outputs"][0]["shape"], (std::vector<int>{1, 4, 5, 2}));
  EXPECT_EQ(read_npy(dir_ / "out/y.npy").shape(), (Shape{1, 4, 5, 2}));
  EXPECT_EQ(read_npy(dir_ / "out/gx.npy").shape(), (Shape{1, 4, 5, 3}));
  EXPECT_EQ(read_npy(dir_ / "out/gw.npy").shape(), (Shape{2, 3, 3, 3}));
  EXPECT_FALSE(std::filesystem::exists(dir_ / "out/gb.npy"));
  // A centre pixel sees 27 products of 0.5 * 0.5.
  EXPECT_EQ(read_npy(dir_ / "out/y.npy").slice(1, 1, 1).slice(2, 1, 1).slice(3, 0, 1).item(), 6.75);
}

TEST_F(Op, ALossIsAScalarAndTakesBothFormsOfGradient) {
  const std::string base =
      "op cross_entropy --in x=" + array("x", {2, 3}) + " --in t=" + array("t", {2}, DType::i64, 2) + out();
  for (const Shape& shape : {Shape{}, Shape{1}}) {
    const Ran ran = offramp_run(base + " --grad " + array("g", shape, DType::f32, 1));
    ASSERT_EQ(ran.code, 0) << ran.err;
    EXPECT_EQ(read_npy(dir_ / "out/y.npy").shape(), Shape{});
  }
  EXPECT_FALSE(std::filesystem::exists(dir_ / "out/gt.npy"));
}

TEST_F(Op, WrongUse) {
  const std::string x = " --in x=" + array("x", {1, 5, 5, 4}), w = " --in w=" + array("w", {8, 3, 3, 4});
  refused("conv2d" + x, 2, "--in w=");
  refused("conv2d" + x + w + " --in q=a.npy", 2, "no input 'q'");
  refused("conv2d" + x + w + x, 2, "twice");
  refused("conv2d" + x + w + " --attr strid=1", 2, "did you mean 'stride'");
  refused("conv2d" + x + w + " --attr stride", 2, "name=value");
  refused("conv2d" + x + w + " --attr stride=0", 2, "outside");
  refused("conv2d" + x + w + " --attr pad=-1", 2, "outside");
  refused("conv2d" + x + w + " --attr pad=1M", 2, "pad=");
  refused("conv2d" + x + w + " --attr stride=1.5", 2, "whole number");
  refused("conv2d" + x + w + " --attr dilation=2", 2, "dilation=2 is not supported");
  refused("max_pool2d" + x, 2, "--attr kernel=");
  refused("max_pool2d" + x + " --attr kernel=3 --attr pad=2", 2, "half");
  refused("max_pool2d" + x + " --attr kernel=1k", 2, "twice the image");
  refused("batch_norm" + x + " --attr eps=nan", 2, "eps");
  refused("relu" + x + " --attr slope=1", 2, "no attribute");
  refused("kl_div" + x + " --in t=" + array("t", {1, 5, 5, 4}) + " --attr temperature=0", 2, "outside");
  expect_failure("op relu" + x, 2, "--out-dir");
}

TEST_F(Op, WrongArrays) {
  const std::string x = " --in x=" + array("x", {1, 5, 5, 4});
  refused("relu --in x=/nonexistent.npy", 3, "/nonexistent.npy");
  refused("relu --in x=" + dir_.path(), 3, dir_.path());
  refused("relu --in x=" + array("i", {3}, DType::i64, 1), 3, "float32 or float64");
  refused("relu --in x=" + array("empty", {0, 3}), 3, "no elements");
  refused("add" + x + " --in z=" + array("z", {1, 5, 5, 3}), 3, "[1,5,5,3]");
  refused("add" + x + " --in z=" + array("z64", {1, 5, 5, 4}, DType::f64), 3, "type of x");
  refused("conv2d" + x + " --in w=" + array("w1", {8, 3, 3, 5}), 3, "[8,3,3,5]");
  refused("conv2d" + x + " --in w=" + array("w2", {8, 3, 2, 4}), 3, "[8,3,2,4]");
  refused("conv2d" + x + " --in w=" + array("w3", {8, 7, 7, 4}), 3, "");
  refused("conv2d" + x + " --in w=" + array("w4", {8, 3, 3, 2}) + " --attr groups=3", 3, "groups");
  refused("conv2d" + x + " --in w=" + array("w5", {8, 3, 3, 4}) + " --in b=" + array("b", {7}), 3, "[7]");
  refused("global_avg_pool --in x=" + array("flat", {5, 4}), 3, "[n,h,w,c]");
  refused("linear --in x=" + array("l", {2, 3}) + " --in w=" + array("lw", {4, 5}), 3, "[4,5]");
  refused("batch_norm" + x + " --in gamma=" + array("g4", {4}) + " --in beta=" + array("b3", {3}) +
              " --in mean=" + array("m4", {4}) + " --in var=" + array("v4", {4}),
          3, "beta");
  refused("cross_entropy --in x=" + array("logits", {2, 3}) + " --in t=" + array("t3", {2}, DType::i64, 3), 3,
          "");
  refused("cross_entropy --in x=" + array("logits", {2, 3}) + " --in t=" + array("tn", {2}, DType::i64, -1),
          3, "");
  refused("cross_entropy --in x=" + array("logits", {2, 3}) + " --in t=" + array("tf", {2}), 3, "int64");
  refused("cross_entropy --in x=" + array("logits", {2, 3}) + " --in t=" + array("t5", {5}, DType::i64, 0), 3,
          "");
  refused("relu" + x + " --grad " + array("gy", {1, 5, 5, 3}), 3, "like y");
  refused("relu" + x + " --grad " + array("gy64", {1, 5, 5, 4}, DType::f64), 3, "like y");
  refused("resize_bilinear" + x + " --attr out_h=1M --attr out_w=1M", 3, "GB");
  const std::string whole = slurp(dir_ / "x.npy");
  refused("relu --in x=" + dir_.write("cut.npy", whole.substr(0, whole.size() / 2)), 3, "cut.npy");
  refused("relu --in x=" + dir_.write("junk.npy", "junk"), 3, "junk.npy");
}

TEST_F(Op, OutputFoldersThatCannotBeWritten) {
  const std::string x = "op relu --in x=" + array("x", {2});
  dir_.write("file", "content");
  expect_failure(x + " --out-dir " + dir_ / "file", 1, dir_ / "file");
  expect_failure(x + " --out-dir " + dir_ / "file/below", 1, dir_ / "file");
  expect_failure(x + " --out-dir /proc/nothing", 1, "/proc/nothing");
  EXPECT_EQ(slurp(dir_ / "file"), "content");
}

}  // namespace
}  // namespace offramp::testing
