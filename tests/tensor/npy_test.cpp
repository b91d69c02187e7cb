#include "tensor/npy.h"

#include <gtest/gtest.h>

#include "kernels/rng.h"
#include "tests/support/compare.h"
#include "tests/support/error_kind.h"
#include "tests/support/temp_dir.h"

namespace offramp {
namespace {

using testing::kind_of;
using testing::slurp;
using testing::TempDir;
using testing::thrown_by;

std::string golden(const std::string& name) { return OFFRAMP_SOURCE_DIR "/tests/golden/" + name; }

TEST(Npy, ReadsWhatNumpyWrote) {
  for (const char* name : {"f4.npy", "f4_v2.npy", "f4_v3.npy"}) {
    const Tensor t = read_npy(golden(name));
    ASSERT_EQ(t.shape(), (Shape{2, 3})) << name;
    for (int i = 0; i < 6; ++i) EXPECT_EQ(t.values<float>()[size_t(i)], float(i) / 4 - 0.5f) << name;
  }
  EXPECT_EQ(read_npy(golden("f8_scalar.npy")).shape(), Shape());
  EXPECT_EQ(read_npy(golden("f8_scalar.npy")).item(), 2.5);
  EXPECT_EQ(read_npy(golden("i8.npy")).values<i64>()[1], i64{1} << 40);
  EXPECT_EQ(read_npy(golden("f4_empty.npy")).shape(), (Shape{0, 5}));
  for (const char* name : {"u1.npy", "u1_fortran.npy"}) {
    const Tensor t = read_npy(golden(name));
    ASSERT_EQ(t.shape(), (Shape{2, 3, 4})) << name;
    for (int i = 0; i < 24; ++i) EXPECT_EQ(t.values<u8>()[size_t(i)], i) << name;
  }
}

TEST(Npy, WritesTheBytesNumpyWrites) {
  const TempDir dir;
  for (const char* name : {"f4.npy", "f8_scalar.npy", "i8.npy", "u1.npy", "f4_empty.npy"}) {
    write_npy(dir / name, read_npy(golden(name)));
    EXPECT_EQ(slurp(dir / name), slurp(golden(name))) << name;
  }
}

TEST(Npy, WritesStridedViews) {
  const TempDir dir;
  const Tensor t = read_npy(golden("u1.npy")).permute({2, 0, 1});
  write_npy(dir / "t.npy", t);
  const Tensor back = read_npy(dir / "t.npy");
  EXPECT_EQ(back.shape(), (Shape{4, 2, 3}));
  EXPECT_TRUE((testing::all_equal<u8, u8>(back.values<u8>(), t.clone().values<u8>())));
  EXPECT_EQ(kind_of([&] { write_npy(dir / "u.npy", Tensor()); }), Error::Kind::failed);
}

TEST(Npy, RefusesOtherTypesClearly) {
  for (const char* name : {"bool.npy", "big_endian.npy", "structured.npy"}) {
    const auto t = thrown_by([&] { read_npy(golden(name)); });
    EXPECT_EQ(t.kind, Error::Kind::input) << name;
    EXPECT_NE(t.message.find(name), std::string::npos) << t.message;
  }
}

std::string with_header(const std::string& dict, const std::string& data) {
  std::string out("\x93NUMPY\x01\x00", 8);
  out += {char(dict.size() & 255), char(dict.size() >> 8)};
  return out + dict + data;
}

TEST(Npy, RefusesHeadersThatLie) {
  const TempDir dir;
  auto kind = [&](const std::string& dict, const std::string& data) {
    const std::string path = dir.write("x.npy", with_header(dict, data));
    return kind_of([&] { read_npy(path); });
  };
  const std::string good = "{'descr': '|u1', 'fortran_order': False, 'shape': (2,)}";
  EXPECT_EQ(read_npy(dir.write("y.npy", with_header(good, "ab"))).count(), 2);
  EXPECT_EQ(kind(good, "a"), Error::Kind::input);
  EXPECT_EQ(kind(good, "abc"), Error::Kind::input);
  for (const char* dict : {
           "",
           "{}",
           "{'descr': '|u1'}",
           "{'descr': '|u1', 'fortran_order': False, 'shape': (2)}",
           "{'descr': '|u1', 'fortran_order': False, 'shape': (-2,)}",
           "{'descr': '|u1', 'fortran_order': Maybe, 'shape': (2,)}",
           "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), 'more': '1'}",
           "{'descr': '|u1', 'descr': '|u1', 'fortran_order': False, 'shape': (2,)}",
           "{'descr': '|u1', 'fortran_order': False, 'shape': (2,)} x",
           "{'descr': '|u1', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
           "{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,)}",
           "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999,)}",
           "{'descr': '|u1', 'fortran_order': False, 'shape': (0, 99999999999999999)}",
       })
    EXPECT_EQ(kind(dict, "ab"), Error::Kind::input) << dict;
}

TEST(Npy, DamageIsAnErrorNeverACrash) {
  const TempDir dir;
  for (const char* name : {"u1.npy", "f4_v2.npy"}) {
    const std::string good = slurp(golden(name));
    for (size_t length = 0; length < good.size(); ++length) {
      const std::string path = dir.write("cut.npy", good.substr(0, length));
      EXPECT_EQ(kind_of([&] { read_npy(path); }), Error::Kind::input) << length;
    }
    for (size_t at = 0; at < good.size(); ++at)
      for (int bit = 0; bit < 8; ++bit) {
        std::string bad = good;
        bad[at] = char(bad[at] ^ (1 << bit));
        const std::string path = dir.write("bad.npy", bad);
        const auto t = thrown_by([&] { read_npy(path); });
        if (t.kind) {
          EXPECT_EQ(*t.kind, Error::Kind::input) << at;
        }
      }
  }
}

}  // namespace
}  // namespace offramp
