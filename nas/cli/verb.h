// The frame of the command line, and how to add a verb.
//
//   main.cpp      finds the verb, turns exceptions into one line on stderr and an exit code
//   verbs.cpp     THE LIST of verbs; a row without `run` is "not in this build", exit 2
//   args.h        flags of one verb (CLI11 behind it): Args args(console, "eval", summary, {examples});
//   args.option(...) console.h     print / print_json to stdout, note / warn / progress to stderr, Ctrl-C
//   files.h       atomic writing (temporary name, sync, rename), output folders
//   data_dirs.h   where data are looked for: the only reader of the environment beside console.cpp
//   VERB.cpp      one file per verb: void run_VERB(Console&, const Words&)
//
// To add a verb: write nas/cli/VERB.cpp, declare run_VERB below, fill its row in verbs.cpp. In it:
//   1. declare the flags; `if (!args.parse(words)) return;` (help was printed);
//   2. print the seed with console.note("seed 1") when there is one;
//   3. call the library with console.watch(): progress and notes go to stderr, watch.stop_requested() turns
//   true on
//      Ctrl-C; work that saved its state throws Error(interrupted) whose message ends in the resume command;
//   4. results: console.options.json ? console.print_json(object) : console.print(text); files through
//   files.h.
// Errors: throw; Error::Kind picks the exit code (failed 1, usage 2, input 3, infeasible 4, verification 5,
// interrupted 130), any other exception is 1. Never call exit, never write to std::cout or std::cerr.
// nlohmann/json.hpp belongs in VERB.cpp files only, CLI11 in args.cpp only.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nas/cli/args.h"
#include "nas/cli/console.h"

namespace offramp::cli {

using Run = void (*)(Console&, const Words&);

struct Verb {
  std::string_view name;
  std::string_view summary;
  Run run;  // null: this build does not have it
};

std::span<const Verb> verbs();
// Runs the row called words[0] with the words behind it; `of` is "" for a verb, "space" for an action of
// space.
void dispatch(Console& console, std::span<const Verb> list, std::string_view of, const Words& words);
// The same for a verb made of actions ("space list"), with a --help that lists them.
void dispatch_actions(Console& console, std::span<const Verb> list, const std::string& of,
                      const std::string& summary, const std::vector<std::string>& examples,
                      const Words& words);
// The overview printed by `offramp` and `offramp help`.
std::string overview();

void run_bench(Console& console, const Words& words);
void run_compare(Console& console, const Words& words);
void run_data(Console& console, const Words& words);
void run_eval(Console& console, const Words& words);
void run_measure(Console& console, const Words& words);
void run_op(Console& console, const Words& words);
void run_predict(Console& console, const Words& words);
void run_profile(Console& console, const Words& words);
void run_report(Console& console, const Words& words);
void run_resume(Console& console, const Words& words);
void run_search(Console& console, const Words& words);
void run_space(Console& console, const Words& words);
void run_train(Console& console, const Words& words);
void run_tune(Console& console, const Words& words);
void run_version(Console& console, const Words& words);
void run_why(Console& console, const Words& words);

}  // namespace offramp::cli
