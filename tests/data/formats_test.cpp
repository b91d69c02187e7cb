#include "data/formats.h"

#include <gtest/gtest.h>

#include "tensor/file.h"
#include "tests/data/damage.h"
#include "tests/data/files.h"

namespace offramp::data {
namespace {

using namespace data::testing;
using offramp::testing::kind_of;
using offramp::testing::TempDir;
using offramp::testing::thrown_by;

const std::vector<std::string> kTen{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};

TEST(Idx, PlainAndCompressedAreTheSame) {
  const TempDir dir;
  const std::string pixels = random_bytes(1, 3 * 4 * 5);
  const std::string file = idx({3, 4, 5}, pixels);
  for (const std::string& path :
       {dir.write("a", file), dir.write("b.gz", gzip(file)), dir.write("no-suffix", gzip(file))}) {
    const Tensor t = read_idx(path);
    ASSERT_EQ(t.shape(), (Shape{3, 4, 5}));
    EXPECT_EQ(std::memcmp(t.data<u8>(), pixels.data(), pixels.size()), 0);
  }
}

TEST(Idx, PairsImagesWithLabels) {
  const TempDir dir;
  const std::string images = dir.write("i", idx({3, 4, 5}, random_bytes(1, 60)));
  const Dataset set = read_idx_pair(images, dir.write("l", idx({3}, "\1\7\3")), kTen);
  EXPECT_EQ(set.labels, (std::vector<i64>{1, 7, 3}));
  EXPECT_EQ(set.images.shape(), (Shape{3, 4, 5, 1}));
  EXPECT_EQ(kind_of([&] { read_idx_pair(images, dir.write("l", idx({2}, "\1\7")), kTen); }),
            Error::Kind::input);
  EXPECT_EQ(kind_of([&] { read_idx_pair(images, dir.write("l", idx({3}, "\1\12\3")), kTen); }),
            Error::Kind::input);
  EXPECT_EQ(kind_of([&] { read_idx_pair(images, images, kTen); }), Error::Kind::input);
  EXPECT_EQ(kind_of([&] { read_idx_pair(dir / "l", dir / "l", kTen); }), Error::Kind::input);
}

TEST(Idx, RefusesWhatCannotBe) {
  const TempDir dir;
  for (const std::string& bytes :
       {idx({3, 4, 5}, random_bytes(1, 61)), idx({0, 4, 5}, ""), idx({0xffffffff, 4096, 4096}, "xyz"),
        gzip(idx({0xffffffff, 4096, 4096}, "xyz")), gzip(idx({3}, "abc")) + "x", gzip(idx({3}, "abcd")),
        std::string("\0\0\x0d\1\0\0\0\1abcd", 12), std::string("\0\0\x08\0", 4),
        std::string("\x1f\x8b", 2)}) {
    const std::string path = dir.write("x", bytes);
    EXPECT_EQ(kind_of([&] { read_idx(path); }), Error::Kind::input);
  }
}

TEST(Idx, Damage) {
  const std::string file = idx({3, 4, 5}, random_bytes(1, 60));
  damage(file, 16, 7, true, [](const std::string& path) { read_idx(path); });
  damage(gzip(file), 1000, 1, true, [](const std::string& path) { read_idx(path); });
}

TEST(Cifar, ReadsPlanarRecords) {
  const TempDir dir;
  const std::string a = cifar({3, 9}, false, 5), b = cifar({0}, false, 9);
  const Dataset set = read_cifar({dir.write("a", a), dir.write("b", b)}, 1, kTen);
  EXPECT_EQ(set.labels, (std::vector<i64>{3, 9, 0}));
  ASSERT_EQ(set.images.shape(), (Shape{3, 32, 32, 3}));
  for (i64 c = 0; c < 3; ++c)
    for (i64 i : {0, 1, 32, 1023}) {
      EXPECT_EQ(set.image(1)[i * 3 + c], u8(a[size_t(3073 + 1 + c * 1024 + i)]));
      EXPECT_EQ(set.image(2)[i * 3 + c], u8(b[size_t(1 + c * 1024 + i)]));
    }
}

TEST(Cifar, HundredClassesUseTheFineLabel) {
  const TempDir dir;
  const std::string bytes = cifar({99, 5}, true, 5);
  const Dataset set = read_cifar({dir.write("a", bytes)}, 2, std::vector<std::string>(100));
  EXPECT_EQ(set.labels, (std::vector<i64>{99, 5}));
  EXPECT_EQ(set.image(1)[1], u8(bytes[3074 + 2 + 1024]));
}

TEST(Cifar, DamageNamesTheOffset) {
  const TempDir dir;
  const std::string good = cifar({3, 9}, false, 5);
  damage(good, 1, 611, true, [](const std::string& path) {
    if (InputFile(path).size() == 3073) throw input_error(path + ": one record is a valid file");
    read_cifar({path}, 1, kTen);
  });
  std::string bad = good;
  bad[3073] = 10;
  const std::string path = dir.write("x", bad);
  const auto t = thrown_by([&] { read_cifar({path}, 1, kTen); });
  EXPECT_EQ(t.kind, Error::Kind::input);
  EXPECT_NE(t.message.find("offset 3073"), std::string::npos) << t.message;
}

TEST(Svhn, ReadsColumnMajorImagesAndTenIsZero) {
  const TempDir dir;
  const std::vector<u8> labels{10, 1, 9, 5, 2, 10};
  const std::string raw = random_bytes(4, 6 * 3072);
  for (bool compressed : {true, false}) {
    const Dataset set = read_svhn(dir.write("x.mat", svhn(labels, 4, compressed)), kTen);
    EXPECT_EQ(set.labels, (std::vector<i64>{0, 1, 9, 5, 2, 0}));
    ASSERT_EQ(set.images.shape(), (Shape{6, 32, 32, 3}));
    for (i64 n : {0, 5})
      for (i64 row : {0, 3, 31})
        for (i64 col : {0, 7, 31})
          for (i64 c = 0; c < 3; ++c)
            EXPECT_EQ(set.image(n)[(row * 32 + col) * 3 + c],
                      u8(raw[size_t(((n * 3 + c) * 32 + col) * 32 + row)]));
  }
}

TEST(Svhn, AcceptsOtherNumberTypesOrdersAndVariables) {
  const TempDir dir;
  const std::string x = mat_matrix(9, {32, 32, 3, 2}, "X", mat_element(2, random_bytes(1, 2 * 3072)));
  const double values[2] = {10, 3};
  const std::string doubles(reinterpret_cast<const char*>(values), 16);
  const std::string y = mat_matrix(6, {2, 1}, "y", mat_element(9, doubles));
  const std::string other = mat_matrix(6, {2, 1}, "readme", mat_element(9, doubles));
  const std::string bytes = mat_header() + mat_compressed(y) + mat_compressed(other) + other + x;
  EXPECT_EQ(read_svhn(dir.write("x.mat", bytes), kTen).labels, (std::vector<i64>{0, 3}));
  // One image: MATLAB drops the fourth dimension, and y fits a small element.
  const std::string one = mat_header() +
                          mat_matrix(9, {32, 32, 3}, "X", mat_element(2, random_bytes(1, 3072))) +
                          mat_matrix(9, {1, 1}, "y", mat_small(2, "\7"));
  EXPECT_EQ(read_svhn(dir.write("x.mat", one), kTen).labels, (std::vector<i64>{7}));
}

TEST(Svhn, RefusesWhatCannotBe) {
  const TempDir dir;
  const std::string data = mat_element(2, random_bytes(1, 2 * 3072));
  const std::string x = mat_matrix(9, {32, 32, 3, 2}, "X", data),
                    y = mat_matrix(9, {2, 1}, "y", mat_small(2, "\1\2"));
  EXPECT_EQ(read_svhn(dir.write("x", mat_header() + x + y), kTen).size(), 2);
  const std::vector<std::string> bad{
      mat_header() + x,
      mat_header() + y,
      mat_header() + x + x + y,
      mat_header('M') + x + y,
      mat_header() + x + mat_matrix(9, {3, 1}, "y", mat_small(2, "\1\2\3")),
      mat_header() + x + mat_matrix(9, {2, 1}, "y", mat_small(2, "\1\13")),
      mat_header() + x + mat_matrix(9, {2, 1}, "y", mat_element(7, std::string(8, '\x7f'))),
      mat_header() + mat_matrix(9, {32, 32, 3, 3}, "X", data) + y,
      mat_header() + mat_matrix(9, {32, 32, 3, 0x7fffffff}, "X", data) + y,
      mat_header() + mat_compressed(mat_matrix(9, {32, 32, 3, 0x7fffffff}, "X", data)) + y,
      mat_header() + mat_matrix(9, {16, 64, 3, 2}, "X", data) + y,
      mat_header() + mat_matrix(6, {32, 32, 3, 2}, "X", mat_element(9, random_bytes(1, 2 * 3072 * 8))) + y,
      mat_header() + little_endian(15) + little_endian(0x7fffffff) + x,
      mat_header() + std::string(64, '\0'),
  };
  for (size_t i = 0; i < bad.size(); ++i) {
    const std::string path = dir.write("x", bad[i]);
    EXPECT_EQ(kind_of([&] { read_svhn(path, kTen); }), Error::Kind::input) << i;
  }
}

TEST(Svhn, Damage) {
  const auto read = [](const std::string& path) { read_svhn(path, kTen); };
  damage(svhn({10, 2}, 4, true), 160, 13, true, read);
  damage(svhn({10, 2, 3, 4, 5}, 4, false), 200, 101, true, read);
}

}  // namespace
}  // namespace offramp::data
