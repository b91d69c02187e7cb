#include "nas/study/curves.h"

#include <cstdio>

#include "nas/search/front.h"
#include "nas/study/csv.h"
#include "nas/study/text_list.h"

namespace offramp::nas {
namespace {

constexpr const char* kHeader = "id,accuracy_tune,avg_macs_tune,accuracy_test,avg_macs_test,thresholds\n";

}  // namespace

std::string curve_text(i64 id, const nn::Model& model, const ExitTable& test, const ExitCosts& costs) {
  std::string text;
  for (const nn::CurvePoint& point : model.curve) {
    const PolicyResult result = apply_policy(test, costs, point.thresholds);
    char figures[160];
    std::snprintf(figures, sizeof figures, "%lld,%.6f,%.1f,%.6f,%.1f,", static_cast<long long>(id),
                  point.accuracy, double(point.total_macs) / double(model.curve_samples), result.accuracy(),
                  result.average_cost());
    text += figures + ("\"" + text_of(point.thresholds) + "\"\n");
  }
  return text;
}

std::string curves_csv(const std::vector<std::string>& texts) {
  std::string csv = kHeader;
  for (const std::string& text : texts) csv += text;
  return csv;
}

std::vector<CurveRow> read_curves(const std::string& path) {
  std::vector<CurveRow> rows;
  each_csv_row(path, [&](const CsvRow& row) {
    rows.push_back({.id = row.count("id"),
                    .accuracy_tune = row.number("accuracy_tune"),
                    .avg_macs_tune = row.number("avg_macs_tune"),
                    .accuracy_test = row.number("accuracy_test"),
                    .avg_macs_test = row.number("avg_macs_test")});
  });
  return rows;
}

std::vector<CurveRow> non_dominated(const std::vector<CurveRow>& rows) {
  Front front;
  for (std::size_t i = 0; i < rows.size(); ++i)
    front.insert(i64(i), Scored{{1 - rows[i].accuracy_tune, rows[i].avg_macs_tune}});
  std::vector<CurveRow> kept;
  for (const FrontPoint& p : front.points()) kept.push_back(rows[std::size_t(p.id)]);
  return kept;
}

}  // namespace offramp::nas
