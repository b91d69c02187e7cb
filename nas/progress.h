// How long work talks to its caller: progress out, the wish to stop in. Passed down, never global.
#pragma once
#include <atomic>
#include <functional>
#include <string>

#include "kernels/error.h"
#include "kernels/timing.h"
#include "kernels/types.h"

namespace offramp::nas {

struct Progress {
  std::string phase;  // "supernet", "search", "final 2/3": a new phase starts a new bar
  i64 done = 0, total = 0;
  std::string unit;  // "step", "candidate"
  std::string best;  // best so far in words, may be empty: "91.2 % at 0.84M MACs"
};

struct Watch {
  std::function<void(const Progress&)> on_progress;  // cheap to call often: the reporter limits its own rate
  std::function<void(const std::string&)>
      on_note;                              // one line worth keeping: a failed candidate, a saved file
  const std::atomic<bool>* stop = nullptr;  // set once by Ctrl-C or SIGTERM
  double deadline = 0;                      // now_seconds() after which to stop likewise, 0: none

  void progress(const Progress& p) const {
    if (on_progress) on_progress(p);
  }
  void note(const std::string& line) const {
    if (on_note) on_note(line);
  }
  bool stop_requested() const {
    return (stop && stop->load(std::memory_order_relaxed)) || (deadline > 0 && now_seconds() >= deadline);
  }
  // Throws Error(interrupted) once a stop was asked for: for work that has nothing to save.
  void check() const {
    if (stop_requested()) throw Error("interrupted", Error::Kind::interrupted);
  }
};

}  // namespace offramp::nas
