// docs/search.md lists every key of a configuration with its default.
#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "nas/search/config.h"
#include "tensor/file.h"

namespace offramp::nas {
namespace {

// "| `key` | default | ..." of a document.
std::map<std::string, std::string> documented(const std::string& text) {
  std::map<std::string, std::string> keys;
  std::istringstream lines(text.substr(text.find("## Every key")));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| `")) continue;
    const std::size_t key_end = line.find("` | "), value = key_end + 4;
    keys[line.substr(3, key_end - 3)] = line.substr(value, line.find(" |", value) - value);
  }
  return keys;
}

// The same of a TOML text as to_toml writes it.
std::map<std::string, std::string> written(const std::string& toml) {
  std::map<std::string, std::string> keys;
  std::string section;
  std::istringstream lines(toml);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("[")) section = line.substr(1, line.size() - 2) + ".";
    const std::size_t equals = line.find(" = ");
    if (equals == std::string::npos) continue;
    std::string value = line.substr(equals + 3);
    std::erase(value, '"');
    keys[section + line.substr(0, equals)] = value;
  }
  return keys;
}

TEST(ConfigDocs, HaveEveryKeyWithItsDefault) {
  const std::string text = read_file(OFFRAMP_SOURCE_DIR "/docs/search.md", i64{1} << 20);
  const auto told = documented(text), real = written(to_toml(SearchConfig{}));
  EXPECT_EQ(real.size(), config_keys().size());
  for (const auto& [key, value] : real) {
    ASSERT_TRUE(told.contains(key)) << key << " is not in docs/search.md";
    EXPECT_EQ(told.at(key), value) << key;
  }
  EXPECT_EQ(told.size(), real.size());
}

}  // namespace
}  // namespace offramp::nas
