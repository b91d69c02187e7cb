#include "tensor/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <vector>

#include "kernels/error.h"

namespace offramp {

namespace {

std::string reason(int error) { return std::generic_category().message(error); }

std::string kind_of_file(mode_t mode) { return S_ISDIR(mode) ? "a folder" : "not a regular file"; }

// Closes and removes a half-written temporary unless it was renamed.
class Temporary {
 public:
  explicit Temporary(const std::string& target) : target_(target) {
    static std::atomic<unsigned> serial{0};
    mode_t mode = 0666;
    struct stat old {};
    const bool replaces = ::stat(target.c_str(), &old) == 0;
    if (replaces && !S_ISREG(old.st_mode)) fail("it is " + kind_of_file(old.st_mode));
    for (int attempt = 0; attempt < 100 && descriptor_ < 0; ++attempt) {
      name_ = target + ".tmp" + std::to_string(::getpid()) + "." + std::to_string(serial++);
      descriptor_ = ::open(name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
      if (descriptor_ < 0 && errno != EEXIST) fail(reason(errno));
    }
    if (descriptor_ < 0) fail("no free temporary name beside it");
    if (replaces) (void)!::fchmod(descriptor_, old.st_mode & 07777);
  }
  ~Temporary() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!renamed_) ::unlink(name_.c_str());
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;

  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t done = ::write(descriptor_, bytes.data(), std::min(bytes.size(), size_t{1} << 30));
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) fail(reason(errno));
      if (done == 0) fail("the device takes no more bytes");
      bytes = bytes.subspan(size_t(done));
    }
  }

  void commit() {
    if (::fsync(descriptor_) != 0 && errno != EINVAL && errno != EROFS) fail(reason(errno));
    const int closed = ::close(descriptor_);
    descriptor_ = -1;
    if (closed != 0 && errno != EINTR) fail(reason(errno));
    if (::rename(name_.c_str(), target_.c_str()) != 0) fail(reason(errno));
    renamed_ = true;
    sync_folder();
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw Error("cannot write " + target_ + ": " + why);
  }

  // Makes the new name itself durable; a file system that cannot is not an error.
  void sync_folder() const {
    const size_t slash = target_.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : slash == 0 ? "/" : target_.substr(0, slash);
    const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return;
    (void)!::fsync(descriptor);
    ::close(descriptor);
  }

  std::string target_, name_;
  int descriptor_ = -1;
  bool renamed_ = false;
};

// A symbolic link keeps pointing where it does: its target is what gets replaced.
std::string behind_links(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0 || !S_ISLNK(info.st_mode)) return path;
  char* real = ::realpath(path.c_str(), nullptr);
  if (!real) return path;
  std::string out = real;
  std::free(real);
  return out;
}

}  // namespace

InputFile::InputFile(const std::string& path) : path_(path) {
  // O_NONBLOCK: opening a pipe that nobody writes must not wait.
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0) throw input_error("cannot read " + path + ": " + reason(errno));
  struct stat info {};
  std::string problem;
  if (::fstat(descriptor_, &info) != 0)
    problem = reason(errno);
  else if (!S_ISREG(info.st_mode))
    problem = "it is " + kind_of_file(info.st_mode);
  if (!problem.empty()) {
    ::close(descriptor_);
    throw input_error("cannot read " + path + ": " + problem);
  }
  size_ = i64(info.st_size);
}

InputFile::~InputFile() { ::close(descriptor_); }

void InputFile::read_at(i64 offset, void* out, i64 bytes) const {
  char* to = static_cast<char*>(out);
  while (bytes > 0) {
    const ssize_t done = ::pread(descriptor_, to, size_t(std::min(bytes, i64{1} << 30)), off_t(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0)
      throw input_error("cannot read " + path_ + " at offset " + std::to_string(offset) + ": " +
                        reason(errno));
    if (done == 0)
      throw input_error(path_ + ": ends at offset " + std::to_string(offset) + ", " + std::to_string(bytes) +
                        " bytes more were expected");
    to += done;
    offset += done;
    bytes -= done;
  }
}

std::string read_file(const std::string& path, i64 max_bytes) {
  const InputFile file(path);
  if (file.size() > max_bytes)
    throw input_error(path + ": " + std::to_string(file.size()) + " bytes, more than the " +
                      std::to_string(max_bytes) + " allowed here");
  std::string out(size_t(file.size()), '\0');
  file.read_at(0, out.data(), file.size());
  return out;
}

void write_file_atomically(const std::string& path, const std::function<void(const Sink&)>& write) {
  Temporary temporary(behind_links(path));
  write([&](std::span<const std::byte> bytes) { temporary.write(bytes); });
  temporary.commit();
}

void write_file_atomically(const std::string& path, std::string_view bytes) {
  write_file_atomically(
      path, [&](const Sink& sink) { sink(std::as_bytes(std::span(bytes.data(), bytes.size()))); });
}

}  // namespace offramp
