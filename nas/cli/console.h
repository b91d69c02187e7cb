// The one place that writes to the terminal: results to stdout, everything else to stderr.
#pragma once
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/types.h"
#include "nas/progress.h"

namespace offramp::cli {

struct OutputOptions {
  bool json = false, quiet = false;
  int verbose = 0;
  std::string color = "auto";
};

class Console {
 public:
  Console();
  ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  OutputOptions options;

  // stdout. A failed write (full disk) throws Error(failed); a reader that went away only ends the output:
  // the work goes on and the exit code stays that of the work.
  void print(std::string_view text);
  // The one object of --json, "schema_version": 1 put in front.
  void print_json(const nlohmann::ordered_json& object);
  void flush();

  // stderr, one line each; a bar on display is cleared first. Failing writes are ignored.
  void note(std::string_view line);    // not with -q
  void detail(std::string_view line);  // with -v only
  void warn(std::string_view line);    // "warning: ..." always
  void error(
      std::string_view line);  // as it stands, always; "offramp" and "error" need no colour to be found

  bool color() const;  // --color, NO_COLOR, terminal: may stdout carry colour?

  // Progress and notes on stderr, the stop flag of Ctrl-C and SIGTERM (handlers are installed on first use).
  nas::Watch watch();
  // Removes a bar on display; called before results are printed.
  void end_progress();

 private:
  class Reporter;
  std::string pending_;
  bool reader_gone_ = false;
  std::unique_ptr<Reporter> reporter_;
};

// After the first Ctrl-C or SIGTERM the flag is set; a second one ends the process at once with 130.
const std::atomic<bool>& stop_flag();

// Columns aligned with spaces: those that hold numbers only below the head to the right.
std::string table(const std::vector<std::vector<std::string>>& rows);

std::string format_count(i64 value);          // 17400000 -> "17.4M"
std::string format_percent(double share);     // 0.913 -> "91.30 %"
std::string format_seconds(double seconds);   // "1:02:03", "4:05", "0:07"
std::string one_line(std::string_view text);  // control characters become spaces, length bounded

}  // namespace offramp::cli
