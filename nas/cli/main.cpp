// Finds the verb; turns exceptions into one line on stderr and an exit code.
#include <exception>
#include <new>
#include <string>

#include "kernels/error.h"
#include "nas/cli/verb.h"

namespace {

using offramp::Error;
using offramp::cli::Console;
using offramp::cli::Words;

int exit_code(Error::Kind kind) {
  switch (kind) {
    case Error::Kind::failed:
      return 1;
    case Error::Kind::usage:
      return 2;
    case Error::Kind::input:
      return 3;
    case Error::Kind::infeasible:
      return 4;
    case Error::Kind::verification:
      return 5;
    case Error::Kind::interrupted:
      return 130;
  }
  return 1;
}

bool is_help(const std::string& word) { return word == "--help" || word == "-h" || word == "help"; }

void run(Console& console, Words words) {
  if (words.empty()) {
    console.error("offramp: no verb given; 'offramp --help' lists them");
    throw Error("", Error::Kind::usage);
  }
  if (words[0] == "--version" || words[0] == "-V") words[0] = "version";
  if (is_help(words[0])) {
    if (words.size() == 1) return console.print(offramp::cli::overview());
    words.erase(words.begin());
    words.emplace_back("--help");  // "help space cost" is "space cost --help"
  }
  if (words[0].size() > 1 && words[0][0] == '-')
    throw offramp::usage_error("'" + words[0] + "' stands before the verb; flags go behind it");
  offramp::cli::dispatch(console, offramp::cli::verbs(), "", words);
}

}  // namespace

int main(int argc, char** argv) {
  Console console;
  const Words words(argv + (argc > 0 ? 1 : 0), argv + argc);
  std::string name = "offramp";
  if (!words.empty() && !words[0].empty() && words[0][0] != '-') name += " " + words[0].substr(0, 32);
  int code = 0;
  auto fail = [&](const std::string& message, int with) {
    console.end_progress();
    if (!message.empty()) console.error(name + ": " + message);
    code = with;
  };
  try {
    run(console, words);
  } catch (const Error& error) {
    fail(error.what(), exit_code(error.kind()));
  } catch (const std::bad_alloc&) {
    fail("out of memory", 1);
  } catch (const std::exception& error) {
    fail(error.what(), 1);
  }
  try {
    console.flush();
  } catch (const Error& error) {
    fail(error.what(), code ? code : exit_code(error.kind()));
  }
  return code;
}
