#include "nas/report/svg.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace offramp::nas {
namespace {

constexpr double kWidth = 720, kHeight = 380;
constexpr double kLeft = 64, kRight = 16, kTop = 28, kBottom = 48;

std::string number(double v, const char* format = "%.4g") {
  char text[40];
  std::snprintf(text, sizeof text, format, v);
  return text;
}
std::string at(double v) { return number(v, "%.1f"); }

std::string short_count(double v) {
  for (const auto& [unit, name] : {std::pair{1e9, "G"}, {1e6, "M"}, {1e3, "k"}})
    if (std::abs(v) >= unit) return number(v / unit) + name;
  return number(v);
}

// One axis: where a value lies between two pixels, and the round values worth a label.
class Axis {
 public:
  Axis(bool logarithmic, double first_pixel, double last_pixel)
      : log_(logarithmic), first_(first_pixel), last_(last_pixel) {}

  bool takes(double v) const { return std::isfinite(v) && (!log_ || v > 0); }
  void include(double v) {
    low_ = std::min(low_, scaled(v));
    high_ = std::max(high_, scaled(v));
  }
  void pad() {
    const double room = high_ > low_ ? 0.04 * (high_ - low_) : std::max(1e-9, 0.05 * std::abs(low_));
    low_ -= room, high_ += room;
  }
  double pixel(double v) const { return first_ + (scaled(v) - low_) / (high_ - low_) * (last_ - first_); }

  std::vector<double> ticks() const {
    std::vector<double> found;
    if (log_) {
      for (int decade = int(std::floor(low_)); decade <= int(std::ceil(high_)); ++decade)
        for (double step : {1.0, 2.0, 5.0}) found.push_back(step * std::pow(10.0, decade));
    } else {
      const double raw = (high_ - low_) / 5, decade = std::pow(10.0, std::floor(std::log10(raw)));
      const double step = decade * (raw / decade < 1.5   ? 1
                                    : raw / decade < 3.5 ? 2
                                    : raw / decade < 7.5 ? 5
                                                         : 10);
      for (double v = std::ceil(low_ / step) * step; v <= high_; v += step)
        found.push_back(std::abs(v) < step * 1e-6 ? 0 : v);
    }
    std::erase_if(found, [&](double v) { return scaled(v) < low_ || scaled(v) > high_; });
    return found;
  }

 private:
  double scaled(double v) const { return log_ ? std::log10(v) : v; }
  bool log_;
  double first_, last_, low_ = HUGE_VAL, high_ = -HUGE_VAL;
};

std::string text_at(double x, double y, const char* anchor, const std::string& text) {
  return "<text x=\"" + at(x) + "\" y=\"" + at(y) + "\" text-anchor=\"" + anchor + "\">" + escaped(text) +
         "</text>\n";
}

std::string frame(const Chart& chart, const Axis& x, const Axis& y) {
  const double bottom = kHeight - kBottom, right = kWidth - kRight;
  std::string out;
  for (double v : x.ticks()) {
    const std::string px = at(x.pixel(v));
    out += "<path class=\"grid\" d=\"M" + px + " " + at(kTop) + "V" + at(bottom) + "\"/>\n" +
           text_at(x.pixel(v), bottom + 16, "middle", short_count(v));
  }
  for (double v : y.ticks())
    out += "<path class=\"grid\" d=\"M" + at(kLeft) + " " + at(y.pixel(v)) + "H" + at(right) + "\"/>\n" +
           text_at(kLeft - 6, y.pixel(v) + 4, "end", number(v));
  out += text_at((kLeft + right) / 2, kHeight - 8, "middle", chart.x_label);
  out += text_at(kLeft - 48, kTop - 12, "start", chart.y_label);
  return out;
}

std::string drawn(const Series& series, std::size_t colour, const Axis& x, const Axis& y) {
  const std::string kind = " class=\"s" + std::to_string(colour % 6);
  std::string path, dots;
  double before = 0;
  for (std::size_t i = 0; i < series.points.size(); ++i) {
    const auto& [vx, vy] = series.points[i];
    if (!x.takes(vx) || !y.takes(vy)) continue;
    const double px = x.pixel(vx), py = y.pixel(vy);
    if (path.empty())
      path = "M" + at(px) + " " + at(py);
    else if (series.mark == Series::Mark::steps)  // a front holds until the next point is reached
      path += "V" + at(before) + "H" + at(px) + "V" + at(py);
    else
      path += "L" + at(px) + " " + at(py);
    before = py;
    const std::string title =
        i < series.labels.size() ? "<title>" + escaped(series.labels[i]) + "</title>" : "";
    dots += "<circle" + kind + " dot\" cx=\"" + at(px) + "\" cy=\"" + at(py) + "\" r=\"" +
            (series.mark == Series::Mark::dots ? "4" : "3") + "\">" + title + "</circle>\n";
  }
  if (series.mark != Series::Mark::dots) dots = "<path" + kind + " line\" d=\"" + path + "\"/>\n" + dots;
  return dots;
}

}  // namespace

std::string escaped(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

std::string svg(const Chart& chart) {
  Axis x(chart.log_x, kLeft, kWidth - kRight), y(false, kHeight - kBottom, kTop);
  bool any = false;
  for (const Series& s : chart.series)
    for (const auto& [vx, vy] : s.points)
      if (x.takes(vx) && y.takes(vy)) x.include(vx), y.include(vy), any = true;
  if (!any) return "<p>nothing to draw yet</p>\n";
  x.pad(), y.pad();
  std::string out = "<svg viewBox=\"0 0 " + number(kWidth) + " " + number(kHeight) + "\" role=\"img\">\n";
  out += frame(chart, x, y);
  double legend = kWidth - kRight;
  for (std::size_t i = 0; i < chart.series.size(); ++i) out += drawn(chart.series[i], i, x, y);
  for (std::size_t i = chart.series.size(); i-- > 0;) {
    const Series& s = chart.series[i];
    if (s.name.empty()) continue;
    out += text_at(legend, kTop - 12, "end", s.name);
    legend -= 7.0 * double(s.name.size()) + 10;
    out += "<circle class=\"s" + std::to_string(i % 6) + " dot\" cx=\"" + at(legend) + "\" cy=\"" +
           at(kTop - 16) + "\" r=\"4\"/>\n";
    legend -= 16;
  }
  return out + "</svg>\n";
}

std::string svg_bars(const std::vector<Bar>& bars) {
  constexpr double kLine = 28, kThick = 20, kNames = 110;
  std::string out = "<svg viewBox=\"0 0 " + number(kWidth) + " " + number(kLine * double(bars.size()) + 4) +
                    "\" role=\"img\">\n";
  for (std::size_t b = 0; b < bars.size(); ++b) {
    const double top = kLine * double(b) + 2;
    out += text_at(kNames - 8, top + 15, "end", bars[b].name);
    double left = kNames;
    for (std::size_t i = 0; i < bars[b].shares.size(); ++i) {
      const double width = bars[b].shares[i] * (kWidth - kRight - kNames);
      const std::string share = number(100 * bars[b].shares[i], "%.1f") + " %";
      out += "<rect class=\"s" + std::to_string(i % 6) + " dot\" x=\"" + at(left) + "\" y=\"" + at(top) +
             "\" width=\"" + at(width) + "\" height=\"" + at(kThick) + "\"><title>" + share +
             "</title></rect>\n";
      if (width > 56)
        out += "<text class=\"inside\" x=\"" + at(left + width / 2) + "\" y=\"" + at(top + 15) +
               "\" text-anchor=\"middle\">" + share + "</text>\n";
      left += width;
    }
  }
  return out + "</svg>\n";
}

}  // namespace offramp::nas
