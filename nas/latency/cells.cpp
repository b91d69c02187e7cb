#include "nas/latency/cells.h"

#include <charconv>

#include "kernels/error.h"

namespace offramp::nas {
namespace {

template <class T>
T number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    throw input_error("'" + std::string(text.substr(0, 40)) + "' is not a number");
  return value;
}

}  // namespace

std::vector<std::string_view> split_cells(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (std::size_t from = 0;;) {
    const std::size_t end = text.find(at, from);
    parts.push_back(text.substr(from, end - from));
    if (end == std::string_view::npos) return parts;
    from = end + 1;
  }
}

i64 cell_count(std::string_view text, i64 low, i64 high) {
  const i64 value = number<i64>(text);
  if (value < low || value > high) throw input_error("'" + std::string(text) + "' is out of range");
  return value;
}

double cell_time(std::string_view text) {
  const double us = number<double>(text);
  if (!(us >= 0 && us < 1e12)) throw input_error("'" + std::string(text) + "' is no time in microseconds");
  return us;
}

Genotype cell_genotype(std::string_view text) {
  Genotype genotype;
  for (std::string_view gene : split_cells(text, ',')) genotype.push_back(number<i32>(gene));
  return genotype;
}

Task cell_task(const std::string_view* cells) {
  return {.classes = cell_count(cells[0], 2, 1 << 20),
          .channels = cell_count(cells[1], 1, 1 << 16),
          .height = cell_count(cells[2], 0, 1 << 16),
          .width = cell_count(cells[3], 0, 1 << 16)};
}

std::string task_cells(const Task& task) {
  return std::to_string(task.classes) + "\t" + std::to_string(task.channels) + "\t" +
         std::to_string(task.height) + "\t" + std::to_string(task.width);
}

}  // namespace offramp::nas
