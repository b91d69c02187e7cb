// The lists of update rows, and the doors that choose from them.
#include <algorithm>
#include <array>

#include "kernels/parallel.h"
#include "kernels/recorder.h"
#include "kernels/select.h"
#include "kernels/update/update.h"
#include "kernels/update/update_ref.h"
#include "kernels/update/update_rows.h"

namespace offramp::kernels {
namespace {

constexpr i64 kGrain = 16384;  // elements a thread claims at once; also the chunk of sum_squares

constexpr auto kSgd = std::to_array<UpdateRow<SgdCall>>({
#if defined(__x86_64__)
  {"sgd/any/avx512", Target::avx512, sgd_avx512}, {"sgd/any/avx2", Target::avx2, sgd_avx2},
#endif
      {"sgd/any/portable", Target::portable, sgd_reference<float>},
});
constexpr auto kAdamW = std::to_array<UpdateRow<AdamWCall>>({
#if defined(__x86_64__)
  {"adamw/any/avx512", Target::avx512, adamw_avx512}, {"adamw/any/avx2", Target::avx2, adamw_avx2},
#endif
      {"adamw/any/portable", Target::portable, adamw_reference<float>},
});
constexpr auto kEma = std::to_array<UpdateRow<EmaCall>>({
#if defined(__x86_64__)
  {"ema/any/avx512", Target::avx512, ema_avx512}, {"ema/any/avx2", Target::avx2, ema_avx2},
#endif
      {"ema/any/portable", Target::portable, ema_reference<float>},
});
constexpr auto kSumSquares = std::to_array<SumSquaresRow>({
#if defined(__x86_64__)
  {"sum_squares/any/avx512", Target::avx512, sum_squares_avx512},
      {"sum_squares/any/avx2", Target::avx2, sum_squares_avx2},
#endif
      {"sum_squares/any/portable", Target::portable, sum_squares_reference<float>},
});

template <class Table, class Call>
void update(Exec& exec, const Table& table, const Cost& cost, const Call& call) {
  const auto& row = select_row(table, exec.target());
  if (!note(exec, row.name, cost)) return;
  parallel_for(exec, call.count, kGrain, [&](i64 begin, i64 end, int) { row.run(call, begin, end); });
}

}  // namespace

void sgd_update(Exec& exec, const SgdCall& call) {
  update(exec, kSgd, sgd_cost(call.count, call.nesterov), call);
}
void adamw_update(Exec& exec, const AdamWCall& call) { update(exec, kAdamW, adamw_cost(call.count), call); }
void ema_update(Exec& exec, const EmaCall& call) { update(exec, kEma, ema_cost(call.count), call); }

void sgd_update(Exec& exec, const SgdCallT<double>& call) {
  if (note(exec, "sgd/any/reference", sgd_cost(call.count, call.nesterov)))
    sgd_reference(call, 0, call.count);
}
void adamw_update(Exec& exec, const AdamWCallT<double>& call) {
  if (note(exec, "adamw/any/reference", adamw_cost(call.count))) adamw_reference(call, 0, call.count);
}
void ema_update(Exec& exec, const EmaCallT<double>& call) {
  if (note(exec, "ema/any/reference", ema_cost(call.count))) ema_reference(call, 0, call.count);
}

double sum_squares(Exec& exec, i64 count, const float* x) {
  const auto& row = select_row(kSumSquares, exec.target());
  if (!note(exec, row.name, sum_squares_cost(count))) return 0;
  const i64 chunks = (count + kGrain - 1) / kGrain;
  double* partial = reinterpret_cast<double*>(exec.shared_scratch(2 * std::max<i64>(chunks, 1)));
  parallel_for(exec, count, kGrain,
               [&](i64 begin, i64 end, int) { partial[begin / kGrain] = row.run(end - begin, x + begin); });
  double sum = 0;
  for (i64 chunk = 0; chunk < chunks; ++chunk) sum += partial[chunk];
  return sum;
}

double sum_squares(Exec& exec, i64 count, const double* x) {
  if (!note(exec, "sum_squares/any/reference", sum_squares_cost(count))) return 0;
  double sum = 0;
  for (i64 begin = 0; begin < count; begin += kGrain)
    sum += sum_squares_reference(std::min(kGrain, count - begin), x + begin);
  return sum;
}

std::span<const UpdateRow<SgdCall>> sgd_table() { return kSgd; }
std::span<const UpdateRow<AdamWCall>> adamw_table() { return kAdamW; }
std::span<const UpdateRow<EmaCall>> ema_table() { return kEma; }
std::span<const SumSquaresRow> sum_squares_table() { return kSumSquares; }

}  // namespace offramp::kernels
