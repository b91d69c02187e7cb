// Charts as SVG text that stands inside a web page: no script, no fonts, no files. Colours are the classes
// s0, s1, ... of the page's style sheet.
#pragma once
#include <string>
#include <utility>
#include <vector>

namespace offramp::nas {

struct Series {
  enum class Mark { dots, line, steps };
  std::string name;
  Mark mark = Mark::dots;
  std::vector<std::pair<double, double>> points;  // x, y; those that are not finite are left out
  std::vector<std::string> labels;                // shown when pointed at, one per point; may be empty
};

struct Chart {
  std::string x_label, y_label;
  bool log_x = false;  // points with x <= 0 are left out
  std::vector<Series> series;
};

// Axes fit the points. With nothing to draw: a line that says so.
std::string svg(const Chart& chart);

struct Bar {
  std::string name;
  std::vector<double> shares;  // of 1, left to right
};

// One line per bar, parts coloured by position and labelled in per cent where there is room.
std::string svg_bars(const std::vector<Bar>& bars);

// Text with & < > " made harmless.
std::string escaped(const std::string& text);

}  // namespace offramp::nas
