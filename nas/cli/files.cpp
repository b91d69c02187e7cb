#include "nas/cli/files.h"

#include <filesystem>
#include <system_error>

#include "kernels/error.h"
#include "tensor/file.h"

namespace offramp::cli {

void create_folders(const std::string& path) {
  if (path.empty()) throw usage_error("the name of the output folder is empty");
  std::error_code failure;
  std::filesystem::create_directories(path, failure);
  if (failure) throw Error("cannot create the folder " + path + ": " + failure.message());
  if (!std::filesystem::is_directory(path, failure))
    throw Error("cannot create the folder " + path + ": a file is in the way");
}

void require_writable(const std::string& path) {
  struct Enough {};
  try {
    write_file_atomically(path, [](const Sink&) { throw Enough{}; });  // the temporary file goes away again
  } catch (const Enough&) {
  }
}

}  // namespace offramp::cli
