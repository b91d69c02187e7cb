#include "nas/toml.h"

#include "kernels/error.h"
#include "kernels/types.h"

namespace offramp::nas {
namespace {

[[noreturn]] void fail(const std::string& path, i64 line, const std::string& got) {
  throw input_error(path + ":" + std::to_string(line) + ": wanted TOML, got: " + got);
}

// TOML has bytes above 127 in strings and comments only. toml++ 3.3 must not see them elsewhere: its table of
// Unicode white space runs into undefined behaviour (U+00A1 to U+0499).
void require_ascii_outside_strings(const std::string& text, const std::string& path) {
  i64 line = 1;
  std::size_t at = text.rfind("\xEF\xBB\xBF", 0) == 0 ? 3 : 0;  // byte order mark
  std::string quote;                                            // what ends the string we are in
  bool comment = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '\n') {
      ++line;
      comment = false;
      if (quote.size() == 1) quote.clear();  // a string of one line that has no end: toml++ will say so
    } else if (comment) {
      continue;
    } else if (!quote.empty()) {
      if (c == '\\' && quote[0] == '"') {
        if (at + 1 < text.size() && text[at + 1] != '\n') ++at;
      } else if (text.compare(at, quote.size(), quote) == 0) {
        at += quote.size() - 1;
        // Up to two more quotes belong to the text of a long string: """a"""""
        if (quote.size() == 3)
          for (int more = 0; more < 2 && at + 1 < text.size() && text[at + 1] == quote[0]; ++more) ++at;
        quote.clear();
      }
    } else if (c == '#') {
      comment = true;
    } else if (c == '"' || c == '\'') {
      const std::string triple(3, c);
      quote = text.compare(at, 3, triple) == 0 ? triple : std::string(1, c);
      at += quote.size() - 1;
    } else if (static_cast<unsigned char>(c) > 127) {
      fail(path, line, "a character that is not ASCII, outside strings and comments");
    }
  }
}

}  // namespace

toml::table parse_toml(const std::string& text, const std::string& path) {
  require_ascii_outside_strings(text, path);
  try {
    return toml::parse(std::string_view(text), std::string_view(path));
  } catch (const toml::parse_error& e) {
    std::string what(e.description());
    for (char& c : what)
      if (static_cast<unsigned char>(c) < 32) c = ' ';
    fail(path, i64(e.source().begin.line), what);
  }
}

}  // namespace offramp::nas
