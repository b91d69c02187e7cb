#include "nas/study/writer_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "kernels/error.h"

namespace offramp::nas {

WriterLock::WriterLock(const std::string& path) {
  const std::string name = path + "-lock";
  file_ = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (file_ < 0)
    throw input_error("archive " + path + ": cannot be written (" + std::strerror(errno) +
                      "); check that the folder exists and its permissions");
  if (::flock(file_, LOCK_EX | LOCK_NB) == 0) return;
  const int why = errno;
  ::close(std::exchange(file_, -1));
  if (why == EWOULDBLOCK)
    throw Error("archive " + path + ": another process is writing it; wait for it to end, or stop it");
  throw Error("archive " + path + ": cannot be locked (" + std::strerror(why) + ")");
}

WriterLock& WriterLock::operator=(WriterLock&& other) noexcept {
  std::swap(file_, other.file_);
  return *this;
}

WriterLock::~WriterLock() {
  if (file_ >= 0) ::close(file_);
}

}  // namespace offramp::nas
