#include "tensor/file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <stdexcept>

#include "tests/support/error_kind.h"
#include "tests/support/temp_dir.h"

namespace offramp {
namespace {

using testing::kind_of;
using testing::TempDir;
using testing::thrown_by;

size_t files_in(const std::string& folder) {
  const std::filesystem::directory_iterator all(folder);
  return size_t(std::distance(begin(all), end(all)));
}

TEST(File, WritesAndReadsBack) {
  const TempDir dir;
  const std::string bytes("a\0b\n", 4);
  write_file_atomically(dir / "f", bytes);
  EXPECT_EQ(read_file(dir / "f"), bytes);
  write_file_atomically(dir / "f", "");
  EXPECT_EQ(read_file(dir / "f"), "");
  EXPECT_EQ(files_in(dir.path()), 1u);
}

TEST(File, RefusesWhatIsNoFile) {
  const TempDir dir;
  ASSERT_EQ(::mkfifo((dir / "pipe").c_str(), 0600), 0);
  for (const std::string& path :
       {dir.path(), dir / "pipe", std::string("/dev/zero"), dir / "absent", std::string()})
    EXPECT_EQ(kind_of([&] { read_file(path); }), Error::Kind::input) << path;
  for (const std::string& path :
       {dir.path(), dir / "pipe", std::string("/dev/null"), dir / "no/such", std::string()})
    EXPECT_EQ(kind_of([&] { write_file_atomically(path, "x"); }), Error::Kind::failed) << path;
  EXPECT_EQ(files_in(dir.path()), 1u);
}

TEST(File, BoundsAreCheckedBeforeReading) {
  const TempDir dir;
  const std::string path = dir.write("f", "12345");
  EXPECT_EQ(read_file(path, 5), "12345");
  EXPECT_EQ(kind_of([&] { read_file(path, 4); }), Error::Kind::input);
  const InputFile file(path);
  char two[2];
  file.read_at(3, two, 2);
  EXPECT_EQ(std::string(two, 2), "45");
  const auto t = thrown_by([&] { file.read_at(4, two, 2); });
  EXPECT_EQ(t.kind, Error::Kind::input);
  EXPECT_NE(t.message.find("offset 5"), std::string::npos) << t.message;
}

TEST(File, AFailedWriteLeavesTheOldFileAndNothingElse) {
  const TempDir dir;
  write_file_atomically(dir / "f", "old");
  EXPECT_THROW(write_file_atomically(dir / "f",
                                     [](const Sink& sink) {
                                       sink(std::as_bytes(std::span("half", 4)));
                                       throw std::runtime_error("stop");
                                     }),
               std::runtime_error);
  EXPECT_EQ(read_file(dir / "f"), "old");
  EXPECT_EQ(files_in(dir.path()), 1u);
}

TEST(File, AFullDiskIsAnError) {
  // A limit on file sizes fails a write half-way, as a full disk does.
  const TempDir dir;
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit tight = before;
  tight.rlim_cur = 4096;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
  const auto t = thrown_by([&] { write_file_atomically(dir / "f", std::string(10000, 'x')); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(t.kind, Error::Kind::failed);
  EXPECT_NE(t.message.find(dir / "f"), std::string::npos) << t.message;
  EXPECT_EQ(files_in(dir.path()), 0u);
}

TEST(File, AFolderThatTakesNoFilesIsAnError) {
  // /proc refuses new files even to root.
  const auto t = thrown_by([] { write_file_atomically("/proc/offramp-test", "x"); });
  EXPECT_EQ(t.kind, Error::Kind::failed);
  EXPECT_NE(t.message.find("/proc/offramp-test"), std::string::npos) << t.message;
  const TempDir dir;
  ::chmod(dir.path().c_str(), 0500);
  if (::access(dir.path().c_str(), W_OK) == 0) return;  // root may write anyway
  EXPECT_EQ(kind_of([&] { write_file_atomically(dir / "f", "x"); }), Error::Kind::failed);
}

TEST(File, ALinkKeepsPointing) {
  const TempDir dir;
  dir.write("real", "old");
  std::filesystem::create_symlink("real", dir / "link");
  write_file_atomically(dir / "link", "new");
  EXPECT_EQ(read_file(dir / "real"), "new");
  EXPECT_TRUE(std::filesystem::is_symlink(dir / "link"));
}

}  // namespace
}  // namespace offramp
