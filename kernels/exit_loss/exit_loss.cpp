#include "kernels/exit_loss/exit_loss.h"

#include <vector>

#include "kernels/cuda/built.h"
#include "kernels/recorder.h"
#include "kernels/softmax/softmax.h"

namespace offramp::kernels {
namespace {

// The host's: term by term, through the doors of the single losses.
template <class T>
void by_terms(Exec& exec, const ExitLossCallT<T>& call) {
  const bool runs = !exec.recorder || !exec.recorder->dry;
  T sum = 0;
  std::vector<T> other;
  for (int e = 0; e < call.exits; ++e) {
    const ExitTermT<T>& term = call.exit[e];
    T loss = 0;
    const bool labels = term.of_labels != 0 || term.of_teacher == 0;
    if (labels) {
      cross_entropy(exec, CrossEntropyCallT<T>{.rows = call.rows,
                                               .classes = call.classes,
                                               .label_smoothing = call.label_smoothing,
                                               .x = term.x,
                                               .target = call.target,
                                               .loss = &loss,
                                               .upstream = term.of_labels,
                                               .gx = term.gx});
      sum += term.of_labels * loss;
    }
    if (term.of_teacher == 0) continue;
    T* gx = term.gx;
    if (gx && labels) {
      other.resize(size_t(call.rows * call.classes));
      gx = other.data();
    }
    kl_div(exec, KlDivCallT<T>{.rows = call.rows,
                               .classes = call.classes,
                               .temperature = call.temperature,
                               .x = term.x,
                               .teacher = term.teacher,
                               .loss = &loss,
                               .upstream = term.of_teacher,
                               .gx = gx});
    sum += term.of_teacher * loss;
    if (runs && gx && labels)
      for (size_t i = 0; i < other.size(); ++i) term.gx[i] += other[i];
  }
  if (runs) *call.loss = sum;
}

}  // namespace

void exit_loss(Exec& exec, const ExitLossCall& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::exit_loss(exec, call);
  by_terms(exec, call);
}
void exit_loss(Exec& exec, const ExitLossCallT<double>& call) { by_terms(exec, call); }

}  // namespace offramp::kernels
