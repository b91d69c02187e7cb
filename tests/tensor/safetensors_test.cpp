#include "tensor/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tests/support/error_kind.h"
#include "tests/support/temp_dir.h"

namespace offramp {
namespace {

using testing::kind_of;
using testing::slurp;
using testing::TempDir;
using testing::thrown_by;

const std::string kGolden = OFFRAMP_SOURCE_DIR "/tests/golden/small.safetensors";

std::string file_of(const std::string& header, const std::string& data) {
  const u64 length = header.size();
  std::string out(8, '\0');
  std::memcpy(out.data(), &length, 8);
  return out + header + data;
}

TEST(SafeTensors, ReadsTheGoldenFile) {
  const SafeTensors s = read_safetensors(kGolden);
  ASSERT_EQ(s.tensors.size(), 4u);
  EXPECT_EQ(s.metadata, (std::map<std::string, std::string>{{"k", "v \xc3\xa9"}}));
  EXPECT_EQ(s.tensors.at("a").shape(), (Shape{2, 3}));
  EXPECT_EQ(s.tensors.at("a").values<float>()[5], 0.75f);
  EXPECT_EQ(s.tensors.at("b").values<double>()[0], 2.5);
  EXPECT_EQ(s.tensors.at("n").item(), 7);
  EXPECT_EQ(s.tensors.at("z").values<u8>()[2], 2);
  EXPECT_EQ(read_safetensors_metadata(kGolden), s.metadata);
}

TEST(SafeTensors, WritesTheGoldenBytes) {
  const TempDir dir;
  const SafeTensors s = read_safetensors(kGolden);
  write_safetensors(dir / "again", s);
  EXPECT_EQ(slurp(dir / "again"), slurp(kGolden));
  EXPECT_EQ(slurp(dir / "again").size() % 8, (6 * 4 + 3) % 8u);
}

TEST(SafeTensors, KeepsViewsAndEmptyTensors) {
  const TempDir dir;
  SafeTensors s = read_safetensors(kGolden);
  s.tensors["t"] = s.tensors["a"].permute({1, 0});
  s.tensors["none"] = Tensor::zeros({0, 4});
  s.metadata.clear();
  write_safetensors(dir / "x", s);
  const SafeTensors back = read_safetensors(dir / "x");
  EXPECT_EQ(back.tensors.size(), 6u);
  EXPECT_EQ(back.tensors.at("t").shape(), (Shape{3, 2}));
  EXPECT_EQ(back.tensors.at("t").values<float>()[1], s.tensors["a"].values<float>()[3]);
  EXPECT_EQ(back.tensors.at("none").shape(), (Shape{0, 4}));
  EXPECT_TRUE(back.metadata.empty());
  write_safetensors(dir / "empty", {});
  EXPECT_TRUE(read_safetensors(dir / "empty").tensors.empty());
  EXPECT_EQ(kind_of([&] {
              write_safetensors(dir / "bad", {.tensors = {{"x", Tensor()}}});
            }),
            Error::Kind::failed);
  EXPECT_EQ(kind_of([&] {
              write_safetensors(dir / "bad", {.metadata = {{"x", "\xff"}}});
            }),
            Error::Kind::failed);
}

TEST(SafeTensors, RefusesHeadersThatLie) {
  const TempDir dir;
  auto thrown = [&](const std::string& header) {
    const std::string path = dir.write("x", file_of(header, "12345678"));
    return thrown_by([&] { read_safetensors(path); });
  };
  EXPECT_FALSE(thrown(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}  )").kind);
  for (
      const char* header : {
          R"([])",
          R"({)",
          R"({} trailing)",
          R"({})",  // the 8 bytes belong to nothing
          R"({"a":{"dtype":"F32","shape":[2]}})",
          R"({"a":{"dtype":"F16","shape":[4],"data_offsets":[0,8]}})",
          R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})",
          R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})",
          R"({"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})",
          R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,9]}})",
          R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,"8"]}})",
          R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})",
          R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})",
          R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
          R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
          R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
          R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
          R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}})",
          R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[18446744073709551608,8]}})",
          R"({"__metadata__":{"k":1},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
          R"({"__metadata__":{"k":{"l":{"m":{"n":1}}}},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
      }) {
    const auto t = thrown(header);
    EXPECT_EQ(t.kind, Error::Kind::input) << header;
    EXPECT_NE(t.message.find(dir / "x"), std::string::npos) << t.message;
  }
  EXPECT_TRUE(thrown(std::string(100000, '[')).kind);
  std::string huge = file_of("{}", "");
  huge[6] = 1;
  const std::string path = dir.write("huge", huge);
  EXPECT_EQ(kind_of([&] { read_safetensors(path); }), Error::Kind::input);
}

TEST(SafeTensors, DamageIsAnErrorNeverACrash) {
  const TempDir dir;
  const std::string good = slurp(kGolden);
  for (size_t length = 0; length < good.size(); ++length) {
    const std::string path = dir.write("cut", good.substr(0, length));
    EXPECT_EQ(kind_of([&] { read_safetensors(path); }), Error::Kind::input) << length;
  }
  for (size_t at = 0; at < good.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[at] = char(bad[at] ^ (1 << bit));
      const std::string path = dir.write("bad", bad);
      const auto t = thrown_by([&] { read_safetensors(path); });
      if (t.kind) {
        EXPECT_EQ(*t.kind, Error::Kind::input) << at;
      }
    }
}

}  // namespace
}  // namespace offramp
