#include "nas/latency/missing.h"

#include "kernels/error.h"
#include "nas/latency/cells.h"
#include "tensor/file.h"

namespace offramp::nas {
namespace {
constexpr std::string_view kTitle = "# offramp missing keys 1";
}

std::string missing_text(std::span<const MissingKey> missing) {
  std::string text(kTitle);
  text += "\n# call, where the weights are, space, classes, channels, height, width, genotype\n";
  for (const MissingKey& m : missing)
    text += m.key.first + "\t" + std::string(residence_name(m.key.second)) + "\t" + m.space + "\t" +
            task_cells(m.task) + "\t" + to_text(m.genotype) + "\n";
  return text;
}

std::vector<MissingKey> read_missing(const std::string& path) {
  const std::string text = read_file(path, i64{1} << 26);
  std::vector<MissingKey> missing;
  i64 line_number = 0;
  for (std::string_view line : split_cells(text, '\n')) {
    ++line_number;
    if (line_number == 1 && line != kTitle)
      throw input_error(path + ": is no list of missing keys: its first line is not '" + std::string(kTitle) +
                        "'");
    if (line.empty() || line[0] == '#') continue;
    try {
      const std::vector<std::string_view> cells = split_cells(line, '\t');
      if (cells.size() != 8)
        throw input_error("wanted 8 cells with tabs between them, got " + std::to_string(cells.size()));
      missing.push_back({{std::string(cells[0]), parse_residence(cells[1])},
                         std::string(cells[2]),
                         cell_task(&cells[3]),
                         cell_genotype(cells[7])});
    } catch (const Error& e) {
      throw input_error(path + ":" + std::to_string(line_number) + ": " + e.what());
    }
  }
  return missing;
}

}  // namespace offramp::nas
