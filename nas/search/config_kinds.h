// Kinds of configuration keys: how a value of each is written in TOML and what it accepts. For config.cpp and
// config_keys.cpp alone.
#pragma once
#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "kernels/error.h"
#include "kernels/nearest.h"
#include "nas/parse.h"
#include "nas/search/config.h"

namespace offramp::nas {

struct Key {
  std::string name;
  std::function<std::string(const SearchConfig&)> get;  // as TOML spells it
  std::function<void(SearchConfig&, const std::string&)> set;
};

// Every key, sections in order.
const std::vector<Key>& config_key_table();

std::string spell(double v);  // as TOML does: always a real number

// Collects keys; `where` gives the field of a SearchConfig, const or not.
class KeyList {
 public:
  template <class Where>
  void text(const std::string& name, Where where, std::vector<std::string> allowed = {}) {
    all.push_back({name, [where](const SearchConfig& c) { return quoted(where(c)); },
                   [name, where, allowed](SearchConfig& c, const std::string& v) {
                     if (!allowed.empty() && std::find(allowed.begin(), allowed.end(), v) == allowed.end()) {
                       std::string list;
                       for (const auto& a : allowed) list += (list.empty() ? "" : ", ") + a;
                       const std::string near = nearest(v, allowed);
                       throw usage_error(name + ": this build knows " + list + ", got '" + v + "'" +
                                         (near.empty() ? "" : ", did you mean '" + near + "'?"));
                     }
                     where(c) = v;
                   }});
  }
  template <class Where>
  void truth(const std::string& name, Where where) {
    all.push_back({name, [where](const SearchConfig& c) { return where(c) ? "true" : "false"; },
                   [name, where](SearchConfig& c, const std::string& v) {
                     if (v != "true" && v != "false")
                       throw usage_error(name + ": wanted true or false, got '" + v + "'");
                     where(c) = v == "true";
                   }});
  }
  template <class Where>
  void count(const std::string& name, Where where, i64 least) {
    all.push_back({name, [where](const SearchConfig& c) { return std::to_string(where(c)); },
                   [name, where, least](SearchConfig& c, const std::string& v) {
                     const i64 value = parse_count(v, name);
                     if (value < least)
                       throw usage_error(name + ": wanted at least " + std::to_string(least) + ", got '" + v +
                                         "'");
                     where(c) = value;
                   }});
  }
  template <class Where>
  void number(const std::string& name, Where where, double low, double high) {
    all.push_back({name, [where](const SearchConfig& c) { return spell(where(c)); },
                   [name, where, low, high](SearchConfig& c, const std::string& v) {
                     where(c) = number_between(name, v, low, high);
                   }});
  }
  template <class Where>
  void number_or_train(const std::string& name, Where where, double low, double high) {
    all.push_back(
        {name, [where](const SearchConfig& c) { return where(c) ? spell(*where(c)) : quoted("train"); },
         [name, where, low, high](SearchConfig& c, const std::string& v) {
           where(c) = v == "train" ? std::nullopt : std::optional(number_between(name, v, low, high));
         }});
  }
  // "0.3,1": at least one, none negative, not all 0.
  template <class Where>
  void weights(const std::string& name, Where where) {
    all.push_back({name,
                   [where](const SearchConfig& c) {
                     std::string list;
                     for (double w : where(c)) list += (list.empty() ? "" : ",") + spell(w);
                     return quoted(list);
                   },
                   [name, where](SearchConfig& c, const std::string& v) {
                     std::vector<double> values;
                     double sum = 0;
                     for (std::size_t at = 0, end; at <= v.size(); at = end + 1) {
                       end = std::min(v.find(',', at), v.size());
                       values.push_back(number_between(name, v.substr(at, end - at), 0, 1e6));
                       sum += values.back();
                     }
                     if (!(sum > 0)) throw usage_error(name + ": not all may be 0, got '" + v + "'");
                     where(c) = values;
                   }});
  }

  std::vector<Key> all;

  static std::string quoted(const std::string& value);

 private:
  static double number_between(const std::string& name, const std::string& v, double low, double high);
};

}  // namespace offramp::nas
