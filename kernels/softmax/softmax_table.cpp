// The list of softmax rows, and the doors of softmax and the losses.
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "kernels/error.h"
#include "kernels/parallel.h"
#include "kernels/recorder.h"
#include "kernels/select.h"
#include "kernels/cuda/built.h"
#include "kernels/softmax/softmax.h"
#include "kernels/softmax/softmax_ref.h"

namespace offramp::kernels {
namespace {

bool any(const SoftmaxDims&) { return true; }

constexpr auto kTable = std::to_array<SoftmaxRow>({
    {"softmax/any/portable", Target::portable, any, softmax_reference<float>},
});

// Matrix rows a thread claims at once: about 2048 exponentials, some ten microseconds.
i64 grain_of(i64 classes) { return std::max<i64>(2048 / std::max<i64>(classes, 1), 1); }

template <class T>
void store_mean(T* loss, const double* row_loss, i64 rows) {
  double sum = 0;
  for (i64 row = 0; row < rows; ++row) sum += row_loss[row];
  *loss = T(sum / double(rows));
}

void require_rows(const char* op, i64 rows, i64 classes) {
  if (rows < 1 || classes < 1)
    throw input_error(std::string(op) + ": wanted at least one row and one class, got logits [" +
                      std::to_string(rows) + "," + std::to_string(classes) + "]");
}

template <class T>
void require_labels(const CrossEntropyCallT<T>& call) {
  for (i64 row = 0; row < call.rows; ++row)
    if (call.target[row] < 0 || call.target[row] >= call.classes)
      throw input_error("cross_entropy: wanted labels in [0," + std::to_string(call.classes) + "), got " +
                        std::to_string(call.target[row]) + " in row " + std::to_string(row));
}

template <class T>
void require_kl_div(const KlDivCallT<T>& call) {
  require_rows("kl_div", call.rows, call.classes);
  if (!(call.temperature > 0))
    throw usage_error("kl_div: wanted a temperature above 0, got " + std::to_string(call.temperature));
}

// Doubles in the shared scratch buffer, which is 64-byte aligned.
double* shared_doubles(Exec& exec, i64 count) {
  return reinterpret_cast<double*>(exec.shared_scratch(2 * count));
}

}  // namespace

void softmax(Exec& exec, const SoftmaxCall& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::softmax(exec, call);
  const SoftmaxDims& d = call.dims;
  const auto& row = select_row(kTable, exec.target(), d);
  if (!note(exec, row.name, softmax_cost(d), call)) return;
  parallel_for(exec, d.rows, grain_of(d.classes),
               [&](i64 begin, i64 end, int) { row.run(call, begin, end); });
}

void softmax(Exec& exec, const SoftmaxCallT<double>& call) {
  if (note(exec, "softmax/any/reference", softmax_cost(call.dims)))
    softmax_reference(call, 0, call.dims.rows);
}

void softmax_grad(Exec& exec, const SoftmaxGradCall& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::softmax_grad(exec, call);
  const SoftmaxDims& d = call.dims;
  if (!note(exec, "softmax_grad/any/portable", softmax_grad_cost(d))) return;
  parallel_for(exec, d.rows, grain_of(d.classes),
               [&](i64 begin, i64 end, int) { softmax_grad_reference(call, begin, end); });
}

void softmax_grad(Exec& exec, const SoftmaxGradCallT<double>& call) {
  if (note(exec, "softmax_grad/any/reference", softmax_grad_cost(call.dims)))
    softmax_grad_reference(call, 0, call.dims.rows);
}

void cross_entropy(Exec& exec, const CrossEntropyCall& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::cross_entropy(exec, call);
  require_rows("cross_entropy", call.rows, call.classes);
  if (!note(exec, "cross_entropy/any/portable", cross_entropy_cost(call.rows, call.classes))) return;
  require_labels(call);
  double* row_loss = call.loss ? shared_doubles(exec, call.rows) : nullptr;
  parallel_for(exec, call.rows, grain_of(call.classes),
               [&](i64 begin, i64 end, int) { cross_entropy_reference(call, begin, end, row_loss); });
  if (call.loss) store_mean(call.loss, row_loss, call.rows);
}

void cross_entropy(Exec& exec, const CrossEntropyCallT<double>& call) {
  require_rows("cross_entropy", call.rows, call.classes);
  if (!note(exec, "cross_entropy/any/reference", cross_entropy_cost(call.rows, call.classes))) return;
  require_labels(call);
  std::vector<double> row_loss(size_t(call.rows));
  cross_entropy_reference(call, 0, call.rows, row_loss.data());
  if (call.loss) store_mean(call.loss, row_loss.data(), call.rows);
}

void kl_div(Exec& exec, const KlDivCall& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::kl_div(exec, call);
  require_kl_div(call);
  if (!note(exec, "kl_div/any/portable", kl_div_cost(call.rows, call.classes))) return;
  double* row_loss = call.loss ? shared_doubles(exec, call.rows) : nullptr;
  for (int worker = 0; worker < exec.threads(); ++worker) exec.worker_scratch(worker, call.classes);
  parallel_for(exec, call.rows, grain_of(call.classes), [&](i64 begin, i64 end, int worker) {
    kl_div_reference(call, begin, end, row_loss, exec.worker_scratch(worker, call.classes));
  });
  if (call.loss) store_mean(call.loss, row_loss, call.rows);
}

void kl_div(Exec& exec, const KlDivCallT<double>& call) {
  require_kl_div(call);
  if (!note(exec, "kl_div/any/reference", kl_div_cost(call.rows, call.classes))) return;
  std::vector<double> row_loss(size_t(call.rows)), scratch(size_t(call.classes));
  kl_div_reference(call, 0, call.rows, row_loss.data(), scratch.data());
  if (call.loss) store_mean(call.loss, row_loss.data(), call.rows);
}

std::span<const SoftmaxRow> softmax_table() { return kTable; }

}  // namespace offramp::kernels
