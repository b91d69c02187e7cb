#include "nas/cli/console.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <nlohmann/json.hpp>

#include "kernels/error.h"

namespace offramp::cli {
namespace {

std::atomic<bool> stop_asked{false};
std::atomic<bool> stops_gracefully{false};
static_assert(std::atomic<bool>::is_always_lock_free);  // touched by a signal handler

extern "C" void on_stop_signal(int) {
  constexpr char kMessage[] = "\nstopping; again to stop at once\n";
  if (!stops_gracefully.load() || stop_asked.exchange(true)) _exit(130);
  const int saved = errno;
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, kMessage, sizeof kMessage - 1);
  errno = saved;
}

void install_handlers() {
  struct sigaction action {};
  action.sa_handler = on_stop_signal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

// A closed standard stream must not be handed out as the number of the next opened file.
void occupy_standard_streams() {
  for (int fd = 0; fd < 3; ++fd)
    if (fcntl(fd, F_GETFD) == -1) open("/dev/null", fd == 1 ? O_RDONLY : O_RDWR);
}

// errno of the failed write, 0 when all was written. Waits for room in a non-blocking pipe.
int write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n >= 0) {
      text.remove_prefix(size_t(n));
    } else if (errno == EAGAIN) {
      pollfd wait{fd, POLLOUT, 0};
      poll(&wait, 1, 1000);
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

bool is_number(const std::string& cell) {
  return !cell.empty() && cell.find_first_not_of("0123456789.+-%kMGTP") == std::string::npos &&
         cell.find_first_of("0123456789") != std::string::npos;
}

}  // namespace

// One bar with rate, ETA and the best so far on a terminal, a plain line now and then elsewhere. Callable
// from any thread.
class Console::Reporter {
 public:
  explicit Reporter(const OutputOptions& options) : options_(options), terminal_(isatty(STDERR_FILENO)) {
    const char* term = std::getenv("TERM");
    if (term && std::strcmp(term, "dumb") == 0) terminal_ = false;
  }

  void progress(const nas::Progress& p) {
    if (options_.quiet) return;
    const std::lock_guard lock(mutex_);
    const double now = now_seconds();
    if (p.phase != phase_ || p.done < first_done_) {
      clear();
      phase_ = p.phase;
      phase_start_ = now;
      first_done_ = p.done;
      last_shown_ = terminal_ ? 0 : now;  // the first plain line comes after one interval
    }
    const bool complete = p.total > 0 && p.done >= p.total;
    if (now - last_shown_ < (terminal_ ? 0.1 : kPlainInterval) && !(complete && p.done != last_done_)) return;
    last_shown_ = now;
    last_done_ = p.done;
    const double elapsed = now - phase_start_,
                 rate = elapsed > 0 ? double(p.done - first_done_) / elapsed : 0;
    std::string line = p.phase + " ";
    if (terminal_ && p.total > 0) line += bar(double(p.done) / double(p.total)) + " ";
    line += std::to_string(p.done) + (p.total > 0 ? "/" + std::to_string(p.total) : "");
    if (rate > 0) {
      char text[64];
      std::snprintf(text, sizeof text, "  %.3g %s/s", rate, p.unit.c_str());
      line += text;
    }
    if (complete)
      line += "  took " + format_seconds(elapsed);
    else if (rate > 0 && p.total > 0)
      line += "  ETA " + format_seconds(double(p.total - p.done) / rate);
    if (!p.best.empty()) line += "  best " + p.best;
    show(one_line(line), complete);
  }

  void line(std::string_view text) {
    const std::lock_guard lock(mutex_);
    clear();
    write_all(STDERR_FILENO, std::string(text) + "\n");
  }

  void end() {
    const std::lock_guard lock(mutex_);
    clear();
  }

 private:
  static constexpr double kPlainInterval = 10;  // seconds between plain lines

  static std::string bar(double share) {
    constexpr int kWidth = 24;
    const int full = int(kWidth * std::clamp(share, 0.0, 1.0));
    return "[" + std::string(size_t(full), '=') + std::string(size_t(kWidth - full), ' ') + "]";
  }
  void show(std::string text, bool keep) {
    if (!terminal_) {
      write_all(STDERR_FILENO, text + "\n");
      return;
    }
    winsize size{};
    const size_t columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
    if (text.size() >= columns) text.resize(columns - 1);
    write_all(STDERR_FILENO, "\r\033[K" + text + (keep ? "\n" : ""));
    shown_ = !keep;
  }
  void clear() {
    if (shown_) write_all(STDERR_FILENO, "\r\033[K");
    shown_ = false;
  }

  const OutputOptions& options_;
  bool terminal_, shown_ = false;
  std::mutex mutex_;
  std::string phase_;
  double phase_start_ = 0, last_shown_ = 0;
  i64 first_done_ = 0, last_done_ = -1;
};

Console::Console() : reporter_(std::make_unique<Reporter>(options)) {
  occupy_standard_streams();
  install_handlers();
}
Console::~Console() = default;

void Console::print(std::string_view text) {
  pending_ += text;
  if (pending_.size() > (size_t{1} << 16)) flush();
}

void Console::print_json(const nlohmann::ordered_json& object) {
  nlohmann::ordered_json out{{"schema_version", 1}};
  out.update(object);
  print(out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

void Console::flush() {
  reporter_->end();
  const std::string text = std::move(pending_);
  pending_.clear();
  if (reader_gone_ || text.empty()) return;
  const int failure = write_all(STDOUT_FILENO, text);
  if (failure == EPIPE)
    reader_gone_ = true;
  else if (failure)
    throw Error("cannot write to standard output: " + std::string(std::strerror(failure)));
}

void Console::note(std::string_view line) {
  if (!options.quiet) reporter_->line(line);
}
void Console::detail(std::string_view line) {
  if (options.verbose > 0) reporter_->line(line);
}
void Console::warn(std::string_view line) { reporter_->line("warning: " + one_line(line)); }
void Console::error(std::string_view line) { reporter_->line(one_line(line)); }

bool Console::color() const {
  if (options.color != "auto") return options.color == "always";
  const char* no_color = std::getenv("NO_COLOR");
  return !(no_color && *no_color) && isatty(STDOUT_FILENO);
}

nas::Watch Console::watch() {
  stops_gracefully = true;
  Reporter* reporter = reporter_.get();
  return {.on_progress = [reporter](const nas::Progress& p) { reporter->progress(p); },
          .on_note = [this](const std::string& line) { note(line); },
          .stop = &stop_asked};
}

void Console::end_progress() { reporter_->end(); }

const std::atomic<bool>& stop_flag() { return stop_asked; }

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> width;
  std::vector<bool> right;
  for (size_t r = 0; r < rows.size(); ++r)
    for (size_t c = 0; c < rows[r].size(); ++c) {
      if (c >= width.size()) width.push_back(0), right.push_back(rows.size() > 1);
      width[c] = std::max(width[c], rows[r][c].size());
      if (r > 0 && !rows[r][c].empty() && !is_number(rows[r][c])) right[c] = false;
    }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (size_t c = 0; c < row.size(); ++c) {
      const std::string gap(width[c] - row[c].size(), ' ');
      line += (c ? "  " : "") + (right[c] ? gap + row[c] : row[c] + gap);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

std::string format_count(i64 value) {
  const double size = std::fabs(double(value));
  const char* suffix[] = {"", "k", "M", "G", "T", "P"};
  double shown = double(value);
  int step = 0;
  // 999.5 of a unit would be rounded to 1000 of it.
  for (double rest = size; step < 5 && rest >= (step ? 999.5 : 1000); rest /= 1000, ++step) shown /= 1000;
  if (step == 0) return std::to_string(value);
  char text[32];
  const double magnitude = std::fabs(shown);
  std::snprintf(text, sizeof text, "%.*f%s",
                magnitude < 9.995   ? 2
                : magnitude < 99.95 ? 1
                                    : 0,
                shown, suffix[step]);
  return text;
}

std::string format_percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f %%", 100 * share);
  return text;
}

std::string format_seconds(double seconds) {
  if (!(seconds >= 0) || seconds > 1e8) return "?";
  const i64 s = i64(seconds + 0.5);
  char text[32];
  if (s >= 3600)
    std::snprintf(text, sizeof text, "%lld:%02d:%02d", static_cast<long long>(s / 3600), int(s / 60 % 60),
                  int(s % 60));
  else
    std::snprintf(text, sizeof text, "%d:%02d", int(s / 60), int(s % 60));
  return text;
}

std::string one_line(std::string_view text) {
  constexpr size_t kLongest = 1000;
  std::string out(text.substr(0, kLongest));
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  if (text.size() > kLongest) out += "...";
  return out;
}

}  // namespace offramp::cli
