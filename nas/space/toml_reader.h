// Reading a table of a TOML file with checks; errors name file, line and key. For .cpp files only: it brings
// toml++.
#pragma once
#include <algorithm>
#include <cstdio>
#include <initializer_list>
#include <string>
#include <vector>

#include "kernels/error.h"
#include "kernels/nearest.h"
#include "kernels/types.h"
#include "nas/toml.h"

namespace offramp::nas {

// What an integer may be. `multiple`: of what; odd: odd numbers only.
struct IntRule {
  i64 low, high, multiple = 1;
  bool odd = false;

  bool allows(i64 v) const { return v >= low && v <= high && v % multiple == 0 && (!odd || v % 2 == 1); }
  std::string text() const {
    const std::string range = std::to_string(low) + ".." + std::to_string(high);
    if (multiple > 1) return "a multiple of " + std::to_string(multiple) + " in " + range;
    return (odd ? "an odd integer " : "an integer ") + range;
  }
};

class TomlReader {
 public:
  // `where` is how the table is called in messages ("stage"), empty for the whole file.
  // Keys that are not in `known` are refused, with the nearest spelling.
  TomlReader(const toml::table& table, const std::string& path, std::string where,
             std::initializer_list<const char*> known)
      : table_(table), path_(path), where_(std::move(where)) {
    const std::vector<std::string> names(known.begin(), known.end());
    for (const auto& [key, node] : table) {
      const std::string spelled(key.str());
      if (std::find(names.begin(), names.end(), spelled) != names.end()) continue;
      const auto line = key.source().begin.line ? key.source().begin.line : node.source().begin.line;
      throw input_error(path_ + ":" + std::to_string(line) + ": " + full(clean(spelled)) + ": unknown key" +
                        did_you_mean(clean(spelled), names));
    }
  }

  const toml::node* find(const char* key) const { return table_.get(key); }
  bool has(const char* key) const { return find(key) != nullptr; }
  std::string full(const std::string& key) const { return where_.empty() ? key : where_ + "." + key; }

  [[noreturn]] void fail(const toml::node& node, const std::string& key, const std::string& wanted,
                         const std::string& got) const {
    throw input_error(path_ + ":" + std::to_string(node.source().begin.line) + ": " + full(key) +
                      ": wanted " + wanted + ", got " + got);
  }
  [[noreturn]] void missing(const std::string& key, const std::string& wanted) const {
    fail(table_, key, wanted, "nothing");
  }

  static std::string shown(const toml::node& node) {
    if (const auto* v = node.as_string()) return "\"" + clean(v->get()) + "\"";
    if (const auto* v = node.as_integer()) return std::to_string(v->get());
    if (const auto* v = node.as_boolean()) return v->get() ? "true" : "false";
    if (const auto* v = node.as_floating_point()) {
      char text[40];
      std::snprintf(text, sizeof text, "%.10g", v->get());
      return text;
    }
    if (const auto* v = node.as_array()) return v->empty() ? "an empty array" : "an array";
    return node.is_table() ? "a table" : "a date or time";
  }

  i64 integer(const char* key, const IntRule& rule) const {
    const toml::node* node = find(key);
    if (!node) missing(key, rule.text());
    return integer_of(*node, key, rule, rule.text());
  }
  i64 integer_or(const char* key, const IntRule& rule, i64 otherwise) const {
    return has(key) ? integer(key, rule) : otherwise;
  }
  bool boolean_or(const char* key, bool otherwise) const {
    const toml::node* node = find(key);
    if (!node) return otherwise;
    if (!node->is_boolean()) fail(*node, key, "true or false", shown(*node));
    return node->as_boolean()->get();
  }
  std::string string(const char* key, const char* wanted) const {
    const toml::node* node = find(key);
    if (!node) missing(key, wanted);
    if (!node->is_string()) fail(*node, key, wanted, shown(*node));
    return node->as_string()->get();
  }

  // One value or an array of 1..64 of them.
  template <class Each>  // Each(const toml::node&, const std::string& wanted)
  void values(const char* key, const std::string& one, Each each) const {
    const std::string wanted = one + " or an array of 1..64 of them";
    const toml::node* node = find(key);
    if (!node) missing(key, wanted);
    const toml::array* array = node->as_array();
    if (!array) return each(*node, wanted);
    if (array->empty() || array->size() > kMaxChoices)
      fail(*node, key, wanted,
           array->empty() ? "an empty array" : "an array of " + std::to_string(array->size()));
    for (const toml::node& element : *array) each(element, wanted);
  }
  std::vector<double> integers(const char* key, const IntRule& rule) const {
    std::vector<double> result;
    values(key, rule.text(), [&](const toml::node& node, const std::string& wanted) {
      result.push_back(double(integer_of(node, key, rule, wanted)));
    });
    return result;
  }

  const toml::table& table_at(const char* key) const {
    const toml::node* node = find(key);
    if (!node) missing(key, "a table");
    if (!node->is_table()) fail(*node, key, "a table", shown(*node));
    return *node->as_table();
  }
  // The tables of [[key]]: none when it is not there.
  std::vector<const toml::table*> tables(const char* key, std::size_t most) const {
    std::vector<const toml::table*> result;
    const toml::node* node = find(key);
    if (!node) return result;
    const std::string wanted = "up to " + std::to_string(most) + " tables, each [[" + full(key) + "]]";
    if (!node->is_array()) fail(*node, key, wanted, shown(*node));
    for (const toml::node& element : *node->as_array()) {
      if (!element.is_table()) fail(element, key, wanted, shown(element));
      result.push_back(element.as_table());
      if (result.size() > most) fail(element, key, wanted, "more");
    }
    return result;
  }

  // What a file holds is shown in one line, cut, without control characters.
  static std::string clean(std::string text) {
    if (text.size() > 60) text = text.substr(0, 60) + "...";
    for (char& c : text)
      if (static_cast<unsigned char>(c) < 32 || c == 127) c = '?';
    return text;
  }

 private:
  static constexpr std::size_t kMaxChoices = 64;

  i64 integer_of(const toml::node& node, const char* key, const IntRule& rule,
                 const std::string& wanted) const {
    if (!node.is_integer() || !rule.allows(node.as_integer()->get())) fail(node, key, wanted, shown(node));
    return node.as_integer()->get();
  }

  const toml::table& table_;
  const std::string& path_;
  std::string where_;
};

}  // namespace offramp::nas
