// Golden files of lines `name count value...`.
#pragma once
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace offramp::test {

class GoldenText {
 public:
  // `name`: a file of tests/golden.
  explicit GoldenText(const std::string& name) {
    std::ifstream file(std::string(OFFRAMP_SOURCE_DIR) + "/tests/golden/" + name);
    std::string key;
    for (std::size_t count; file >> key >> count;) {
      std::vector<double>& values = values_[key];
      values.resize(count);
      for (double& v : values) file >> v;
    }
    if (values_.empty()) throw std::runtime_error("tests/golden/" + name + " is missing or empty");
  }
  const std::vector<double>& operator[](const std::string& key) const { return values_.at(key); }

 private:
  std::map<std::string, std::vector<double>> values_;
};

}  // namespace offramp::test
