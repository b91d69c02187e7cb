#include "data/catalog.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "data/md5.h"
#include "tests/data/files.h"
#include "tests/support/error_kind.h"
#include "tests/support/temp_dir.h"

namespace offramp::data {
namespace {

using namespace data::testing;
using offramp::testing::kind_of;
using offramp::testing::TempDir;
using offramp::testing::thrown_by;

std::vector<u8> cycle(i64 n, u8 classes = 10) {
  std::vector<u8> out;
  for (i64 i = 0; i < n; ++i) out.push_back(u8(i % classes));
  return out;
}
std::string text(const std::vector<u8>& v) { return {v.begin(), v.end()}; }

void write_idx_set(const TempDir& dir, const std::string& folder, bool packed, u32 train, u32 test) {
  const auto put = [&](const std::string& name, const std::string& bytes) {
    dir.write(folder + name + (packed ? ".gz" : ""), packed ? gzip(bytes) : bytes);
  };
  put("train-images-idx3-ubyte", idx({train, 4, 5}, random_bytes(1, i64{train} * 20)));
  put("train-labels-idx1-ubyte", idx({train}, text(cycle(train))));
  put("t10k-images-idx3-ubyte", idx({test, 4, 5}, random_bytes(2, i64{test} * 20)));
  put("t10k-labels-idx1-ubyte", idx({test}, text(cycle(test))));
}

TEST(Catalog, LoadsEveryOfficialLayout) {
  const TempDir dir;
  write_idx_set(dir, "fashion-mnist/", true, 40, 20);
  write_idx_set(dir, "", false, 30, 10);
  for (int i = 1; i <= 5; ++i)
    dir.write("cifar-10-batches-bin/data_batch_" + std::to_string(i) + ".bin",
              cifar(cycle(10), false, u64(i) * 100));
  dir.write("cifar-10-batches-bin/test_batch.bin", cifar(cycle(10), false, 7));
  dir.write("cifar-100-binary/train.bin", cifar(cycle(200, 100), true, 1));
  dir.write("cifar-100-binary/test.bin", cifar(cycle(100, 100), true, 2));
  std::vector<u8> digits = cycle(20);
  for (u8& d : digits) d = d == 0 ? 10 : d;
  dir.write("train_32x32.mat", svhn(digits, 1));
  dir.write("test_32x32.mat", svhn(digits, 2));
  struct Case {
    const char* name;
    i64 train, tune, test, channels;
  };
  for (const Case& c :
       {Case{"fashion-mnist", 36, 4, 20, 1}, Case{"mnist", 27, 3, 10, 1}, Case{"cifar10", 45, 5, 10, 3},
        Case{"cifar100", 180, 20, 100, 3}, Case{"svhn", 18, 2, 20, 3}}) {
    const Splits s = load(c.name, {.dirs = {dir / "nowhere", dir.path()}});
    EXPECT_EQ(s.train.size(), c.train) << c.name;
    EXPECT_EQ(s.tune.size(), c.tune) << c.name;
    EXPECT_EQ(s.test.size(), c.test) << c.name;
    EXPECT_EQ(s.test.channels(), c.channels) << c.name;
    EXPECT_EQ(s.train.name, c.name);
    EXPECT_EQ(i64(s.train.classes.size()), info_of(c.name).classes);
    EXPECT_TRUE(find(c.name, {dir.path()}).found);
    // Everything is there, but not in the official numbers: verification says so.
    bool passed = true;
    for (const Check& check : verify(c.name, {dir.path()})) passed = passed && check.passed;
    EXPECT_FALSE(passed) << c.name;
  }
  // The sub-folder of the name comes first.
  EXPECT_EQ(find("fashion-mnist", {dir.path()}).folder, dir / "fashion-mnist");
  EXPECT_EQ(find("mnist", {dir.path()}).folder, dir.path());
  EXPECT_EQ(load("fashion-mnist", {.dirs = {dir.path()}, .want_train = false}).train.labels.size(), 0u);
}

TEST(Catalog, SplitsAreDisjointStratifiedAndSeeded) {
  const TempDir dir;
  write_idx_set(dir, "", true, 200, 50);
  const LoadOptions options{.dirs = {dir.path()}, .seed = 1};
  const auto pixels = [](const Dataset& d) {
    std::multiset<std::string> out;
    for (i64 i = 0; i < d.size(); ++i) out.insert(std::string(reinterpret_cast<const char*>(d.image(i)), 20));
    return out;
  };
  const Splits a = load("mnist", options), b = load("mnist", options);
  EXPECT_EQ(pixels(a.tune), pixels(b.tune));
  EXPECT_EQ(class_histogram(a.tune), std::vector<i64>(10, 2));
  EXPECT_EQ(class_histogram(a.train), std::vector<i64>(10, 18));
  for (const std::string& p : pixels(a.tune)) EXPECT_EQ(pixels(a.train).count(p), 0u);
  LoadOptions other = options;
  other.seed = 2;
  const Splits c = load("mnist", other);
  EXPECT_NE(pixels(c.tune), pixels(a.tune));
  EXPECT_EQ(pixels(c.test), pixels(a.test));

  LoadOptions few = options;
  few.train_samples = 50, few.tune_samples = 30, few.test_samples = 10;
  const Splits d = load("mnist", few);
  EXPECT_EQ(class_histogram(d.train), std::vector<i64>(10, 5));
  EXPECT_EQ(class_histogram(d.tune), std::vector<i64>(10, 3));
  EXPECT_EQ(class_histogram(d.test), std::vector<i64>(10, 1));
  few.train_samples = 171;
  EXPECT_EQ(kind_of([&] { load("mnist", few); }), Error::Kind::usage);
  few.train_samples = -1;
  EXPECT_EQ(kind_of([&] { load("mnist", few); }), Error::Kind::usage);
}

TEST(Catalog, UnknownNamesGetTheNearestSpelling) {
  for (const char* name : {"fashion_mnist", "cifar-10", "sintetic"}) {
    const auto t = thrown_by([&] { load(name, {}); });
    EXPECT_EQ(t.kind, Error::Kind::usage);
    EXPECT_NE(t.message.find("did you mean"), std::string::npos) << t.message;
  }
  EXPECT_EQ(kind_of([] { load("folder:", {}); }), Error::Kind::usage);
  EXPECT_EQ(kind_of([] { load("", {}); }), Error::Kind::usage);
}

TEST(Catalog, MissingDataSayWhereAndHow) {
  const TempDir dir;
  const auto t = thrown_by([&] { load("fashion-mnist", {.dirs = {dir / "a", dir / "b"}}); });
  EXPECT_EQ(t.kind, Error::Kind::input);
  for (const std::string& part : {dir / "a/fashion-mnist", dir / "b", std::string("dataset-fashion-mnist")})
    EXPECT_NE(t.message.find(part), std::string::npos) << t.message;
  dir.write("train_32x32.mat", svhn({1, 2, 3}, 1));
  const auto partly = thrown_by([&] { load("svhn", {.dirs = {dir.path()}}); });
  EXPECT_NE(partly.message.find("lacks test_32x32.mat"), std::string::npos) << partly.message;
  EXPECT_EQ(kind_of([&] { load("folder:" + (dir / "none"), {}); }), Error::Kind::input);
  EXPECT_EQ(kind_of([&] { verify("cifar100", {}); }), Error::Kind::input);
}

TEST(Catalog, SyntheticNeedsNoFiles) {
  const Splits s = load("synthetic", {});
  EXPECT_EQ(s.train.size(), 10000);
  EXPECT_EQ(s.tune.size(), 2000);
  EXPECT_EQ(s.test.size(), 4000);
  EXPECT_EQ(class_histogram(s.tune), std::vector<i64>(10, 200));
  const Splits few =
      load("synthetic", {.seed = 9, .train_samples = 300, .tune_samples = 100, .test_samples = 80});
  EXPECT_EQ(few.train.size(), 300);
  EXPECT_EQ(few.tune.size(), 100);
  ASSERT_EQ(few.test.size(), 80);
  EXPECT_EQ(std::memcmp(few.test.images.data<u8>(), s.test.images.data<u8>(), 80 * 3072), 0);
  EXPECT_TRUE(verify("synthetic", {}).front().passed);
}

TEST(Catalog, FoldersSplitSeventyTenTwenty) {
  const TempDir dir;
  for (int k = 0; k < 2; ++k)
    for (int i = 0; i < 20; ++i)
      dir.write(std::string(k ? "b/" : "a/") + std::to_string(i) + ".png",
                png(6, 6, 1, random_bytes(u64(k * 20 + i), 36)));
  const Splits s = load("folder:" + dir.path(), {.seed = 1}), t = load("folder:" + dir.path(), {.seed = 2});
  EXPECT_EQ(class_histogram(s.train), std::vector<i64>(2, 14));
  EXPECT_EQ(class_histogram(s.tune), std::vector<i64>(2, 2));
  EXPECT_EQ(class_histogram(s.test), std::vector<i64>(2, 4));
  EXPECT_EQ(std::memcmp(s.test.images.data<u8>(), t.test.images.data<u8>(), 8 * 36), 0);
  EXPECT_NE(std::memcmp(s.tune.images.data<u8>(), t.tune.images.data<u8>(), 4 * 36), 0);
  EXPECT_TRUE(verify("folder:" + dir.path(), {}).front().passed);
}

TEST(Catalog, DebiansFashionMnistVerifies) {
  const std::vector<std::string> dirs{"/usr/share/datasets"};
  if (!find("fashion-mnist", dirs).found)
    GTEST_SKIP() << "the package dataset-fashion-mnist is not installed";
  for (const Check& c : verify("fashion-mnist", dirs)) EXPECT_TRUE(c.passed) << c.file << ": " << c.what;
}

TEST(Md5, KnownValues) {
  const auto of = [](const std::string& s) {
    Md5 sum;
    for (size_t at = 0; at < s.size(); at += 7)
      sum.add(std::as_bytes(std::span(s).subspan(at, std::min<size_t>(7, s.size() - at))));
    return sum.hex();
  };
  // RFC 1321, appendix A.5.
  EXPECT_EQ(of(""), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(of("abc"), "900150983cd24fb0d6963f7d28e17f72");
  EXPECT_EQ(of("12345678901234567890123456789012345678901234567890123456789012345678901234567890"),
            "57edf4a22be3c955ac49da2e2107b67a");
  // Lengths around the block's padding agree with one call over the whole.
  for (size_t n = 50; n < 140; ++n) {
    const std::string s = random_bytes(n, i64(n));
    Md5 whole;
    whole.add(std::as_bytes(std::span(s)));
    EXPECT_EQ(of(s), whole.hex()) << n;
  }
}

}  // namespace
}  // namespace offramp::data
