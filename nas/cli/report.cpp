// offramp report: a run as one HTML file
#include "nas/report/report.h"

#include <nlohmann/json.hpp>

#include "nas/cli/verb.h"

namespace offramp::cli {

void run_report(Console& console, const Words& words) {
  std::string dir;
  Args args(console, "report", "write DIR/report.html: fronts, progress, final networks, configuration",
            {"offramp report run1"});
  args.word("DIR", dir, "run directory of offramp search, finished or not")
      .notes("The file needs nothing beside it: no script, no network. search writes it at its end.\n");
  if (!args.parse(words)) return;
  const std::string path = nas::write_report(dir);
  if (console.options.json) return console.print_json({{"report", path}});
  console.print(path + "\n");
}

}  // namespace offramp::cli
