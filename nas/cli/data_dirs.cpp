#include "nas/cli/data_dirs.h"

#include <algorithm>
#include <cstdlib>

namespace offramp::cli {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

}  // namespace

std::vector<std::string> data_dirs(const std::string& flag) {
  std::vector<std::string> dirs;
  auto add = [&](const std::string& dir) {
    if (!dir.empty() && std::find(dirs.begin(), dirs.end(), dir) == dirs.end()) dirs.push_back(dir);
  };
  add(flag);
  add(environment("OFFRAMP_DATA"));
  if (const std::string xdg = environment("XDG_DATA_HOME"); !xdg.empty())
    add(xdg + "/offramp");
  else if (const std::string home = environment("HOME"); !home.empty())
    add(home + "/.local/share/offramp");
  add("/usr/share/datasets");
  return dirs;
}

}  // namespace offramp::cli
