// Where data are looked for.
#pragma once
#include <string>
#include <vector>

namespace offramp::cli {

// Best first: `flag` (--data-dir, may be empty), $OFFRAMP_DATA, $XDG_DATA_HOME/offramp
// (~/.local/share/offramp when unset), /usr/share/datasets. Each once.
std::vector<std::string> data_dirs(const std::string& flag);

}  // namespace offramp::cli
