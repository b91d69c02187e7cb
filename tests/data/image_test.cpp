#include <gtest/gtest.h>

#include "data/decode.h"
#include "data/formats.h"
#include "kernels/resize/resize.h"
#include "tests/data/damage.h"
#include "tests/data/files.h"

namespace offramp::data {
namespace {

using namespace data::testing;
using offramp::testing::kind_of;
using offramp::testing::slurp;
using offramp::testing::TempDir;

std::string bytes_of(const Tensor& t) {
  const auto v = t.values<u8>();
  return {v.begin(), v.end()};
}

TEST(Decode, PngAndBmpKeepEveryPixel) {
  const TempDir dir;
  const std::string rgb = random_bytes(1, 5 * 7 * 3), grey = random_bytes(2, 5 * 7);
  const Tensor a = decode_image(dir.write("a.png", png(5, 7, 3, rgb)));
  EXPECT_EQ(a.shape(), (Shape{5, 7, 3}));
  EXPECT_EQ(bytes_of(a), rgb);
  const Tensor b = decode_image(dir.write("b.png", png(5, 7, 1, grey)));
  EXPECT_EQ(b.shape(), (Shape{5, 7, 1}));
  EXPECT_EQ(bytes_of(b), grey);
  EXPECT_EQ(bytes_of(decode_image(dir.write("c.bmp", bmp(5, 7, rgb)))), rgb);
  EXPECT_EQ(decode_image(dir / "a.png", 1).shape(), (Shape{5, 7, 1}));
  const Tensor wide = decode_image(dir / "b.png", 3);
  EXPECT_EQ(wide.shape(), (Shape{5, 7, 3}));
  EXPECT_EQ(wide.data<u8>()[3 * 6 + 2], u8(grey[6]));
  EXPECT_EQ(image_size(dir / "a.png").width, 7);
}

// A smooth ramp: red grows with the column, green with the row, blue is 100; JPEG is off by a few.
void expect_ramp(const Tensor& t, double tolerance) {
  ASSERT_EQ(t.shape(), (Shape{16, 24, 3}));
  for (i64 row = 0; row < 16; ++row)
    for (i64 col = 0; col < 24; ++col) {
      const u8* p = t.data<u8>() + (row * 24 + col) * 3;
      EXPECT_NEAR(p[0], 10 * col, tolerance);
      EXPECT_NEAR(p[1], 15 * row, tolerance);
      EXPECT_NEAR(p[2], 100, tolerance);
    }
}

const std::string kJpeg = OFFRAMP_SOURCE_DIR "/tests/golden/ramp.jpg";
const std::string kProgressive = OFFRAMP_SOURCE_DIR "/tests/golden/ramp_progressive.jpg";

TEST(Decode, Jpeg) {
  expect_ramp(decode_image(kJpeg), 8);
  expect_ramp(decode_image(kProgressive), 16);  // colours at half the resolution
}

TEST(Decode, JpegTablesAreCheckedBeforeTheyAreUsed) {
  const TempDir dir;
  const std::string good = slurp(kJpeg);
  const size_t table = good.find("\xff\xc4");
  ASSERT_NE(table, std::string::npos);
  // 16 x 255 codes would overrun the decoder's arrays.
  std::string bad = good;
  for (size_t i = 0; i < 16; ++i) bad[table + 5 + i] = '\xff';
  EXPECT_EQ(kind_of([&] { decode_image(dir.write("codes.jpg", bad)); }), Error::Kind::input);
  // A scan whose tables were never sent.
  bad = good;
  for (size_t at = table; at != std::string::npos; at = bad.find("\xff\xc4", at))
    bad[at + 1] = '\xfe';  // a comment
  const auto t = offramp::testing::thrown_by([&] { decode_image(dir.write("tables.jpg", bad)); });
  EXPECT_EQ(t.kind, Error::Kind::input);
  EXPECT_NE(t.message.find("Huffman"), std::string::npos) << t.message;
}

TEST(Decode, ManyRandomChanges) {
  // Several bytes at once, so that checks which a single flip cannot pass are passed.
  const TempDir dir;
  for (const std::string& file : {slurp(kJpeg), slurp(kProgressive)}) {
    Rng rng(file.size());
    for (int trial = 0; trial < 3000; ++trial) {
      std::string bad = file;
      for (u32 i = 0, n = 1 + rng.below(6); i < n; ++i)
        bad[rng.below(u32(bad.size()))] = char(rng.next_u32());
      const std::string path = dir.write("x.jpg", bad);
      const auto t = offramp::testing::thrown_by([&] { decode_image(path); });
      if (t.kind) {
        EXPECT_EQ(*t.kind, Error::Kind::input) << t.message;
      }
    }
  }
}

TEST(Decode, RefusesWhatIsNoImage) {
  const TempDir dir;
  // 16384 x 16384 pixels in a file of a hundred bytes.
  std::string bomb = png(1, 1, 3, "abc");
  const std::string header = "IHDR" + big_endian(16384) + big_endian(16384) + std::string("\x08\2\0\0\0", 5);
  bomb.replace(12, 17, header);
  bomb.replace(29, 4, big_endian(u32(crc32(0, reinterpret_cast<const Bytef*>(header.data()), 17))));
  for (const std::string& bytes : {std::string(), std::string("hello, this is text"), bomb}) {
    const std::string path = dir.write("x.png", bytes);
    EXPECT_EQ(kind_of([&] { decode_image(path); }), Error::Kind::input);
  }
  EXPECT_EQ(kind_of([&] { decode_image(dir.path()); }), Error::Kind::input);
  EXPECT_EQ(kind_of([&] { decode_image(dir / "absent"); }), Error::Kind::input);
}

TEST(Decode, Damage) {
  const auto read = [](const std::string& path) { decode_image(path); };
  damage(png(4, 5, 3, random_bytes(1, 60)), 2000, 1, true, read);
  damage(bmp(5, 4, random_bytes(1, 60)), 54, 3, true, read);  // rows of 12 bytes need no padding
  damage(slurp(kJpeg), 2000, 1, true, read);
  damage(slurp(kProgressive), 2000, 1, true, read);
}

TEST(Decode, EveryFlippedBitOfAPngIsNoticed) {
  const TempDir dir;
  const std::string good = png(4, 5, 3, random_bytes(1, 60));
  for (size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = char(bad[at] ^ 16);
    const std::string path = dir.write("x.png", bad);
    EXPECT_EQ(kind_of([&] { decode_image(path); }), Error::Kind::input) << at;
  }
}

TEST(ResizeImage, AgreesWithTheKernel) {
  const i64 sizes[][4] = {{5, 7, 10, 14}, {8, 8, 4, 4}, {9, 5, 4, 11}, {1, 1, 3, 3}, {32, 32, 64, 48}};
  for (const auto& s : sizes) {
    const std::string raw = random_bytes(3, s[0] * s[1] * 3);
    Tensor in = Tensor::empty({s[0], s[1], 3}, DType::u8);
    std::memcpy(in.data<u8>(), raw.data(), raw.size());
    const Tensor got = resize_image(in, s[2], s[3]);
    const Tensor x = in.to(DType::f32);
    Tensor y = Tensor::empty({s[2], s[3], 3});
    Exec exec;
    kernels::resize(exec, kernels::ResizeCall{.dims = {.n = 1,
                                                       .h = s[0],
                                                       .w = s[1],
                                                       .c = 3,
                                                       .out_h = s[2],
                                                       .out_w = s[3],
                                                       .kind = kernels::ResizeKind::bilinear},
                                              .x = x.data<float>(),
                                              .y = y.data<float>()});
    for (i64 i = 0; i < y.count(); ++i) EXPECT_NEAR(got.data<u8>()[i], y.data<float>()[i], 0.502) << i;
  }
}

TEST(ImageFolder, ClassesAreSubFoldersInOrder) {
  const TempDir dir;
  dir.write("zebra/b.PNG", png(6, 6, 3, random_bytes(1, 108)));
  dir.write("zebra/a.bmp", bmp(6, 6, random_bytes(2, 108)));
  dir.write("ant/1.png", png(6, 6, 1, std::string(36, '\x40')));
  dir.write("ant/notes.txt", "not an image");
  dir.write(".hidden/x.png", "no image");
  dir.write("readme.txt", "about");
  const Dataset set = read_image_folder(dir.path(), 0);
  EXPECT_EQ(set.classes, (std::vector<std::string>{"ant", "zebra"}));
  EXPECT_EQ(set.labels, (std::vector<i64>{0, 1, 1}));
  ASSERT_EQ(set.images.shape(), (Shape{3, 6, 6, 3}));
  EXPECT_EQ(set.image(0)[5], 0x40);
  EXPECT_EQ(set.image(1)[0], u8(random_bytes(2, 108)[0]));
  EXPECT_EQ(read_image_folder(dir.path(), 9).images.shape(), (Shape{3, 9, 9, 3}));
}

TEST(ImageFolder, SizesAndChannelsFollowTheFiles) {
  const TempDir dir;
  dir.write("a/1.png", png(6, 8, 1, random_bytes(1, 48)));
  dir.write("b/1.png", png(6, 8, 1, random_bytes(2, 48)));
  EXPECT_EQ(read_image_folder(dir.path(), 0).images.shape(), (Shape{2, 6, 8, 1}));
  dir.write("b/2.png", png(7, 8, 1, random_bytes(2, 56)));
  EXPECT_EQ(read_image_folder(dir.path(), 0).images.shape(), (Shape{3, 64, 64, 1}));
}

TEST(ImageFolder, NamesTheBrokenFile) {
  const TempDir dir;
  EXPECT_EQ(kind_of([&] { read_image_folder(dir.path(), 0); }), Error::Kind::input);
  EXPECT_EQ(kind_of([&] { read_image_folder(dir / "absent", 0); }), Error::Kind::input);
  dir.write("a/1.png", png(6, 6, 3, random_bytes(1, 108)));
  dir.write("a/2.png", png(6, 6, 3, random_bytes(1, 108)).substr(0, 90));
  const auto t = offramp::testing::thrown_by([&] { read_image_folder(dir.path(), 0); });
  EXPECT_EQ(t.kind, Error::Kind::input);
  EXPECT_NE(t.message.find("a/2.png"), std::string::npos) << t.message;
  std::filesystem::remove(dir / "a/2.png");
  std::filesystem::create_directory(dir / "empty");
  EXPECT_EQ(kind_of([&] { read_image_folder(dir.path(), 0); }), Error::Kind::input);
}

}  // namespace
}  // namespace offramp::data
