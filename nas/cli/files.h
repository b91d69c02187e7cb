// Output folders. Single files are written through tensor/file.h (temporary name, sync, rename).
#pragma once
#include <string>

namespace offramp::cli {

// Makes `path` and its parents. Throws Error(failed) with the reason, Error(usage) for an empty name.
void create_folders(const std::string& path);

// Throws Error(failed) unless a file could be written there now: for work that takes long before it writes.
void require_writable(const std::string& path);

}  // namespace offramp::cli
