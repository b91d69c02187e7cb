// Search spaces of early-exit networks. A space is a TOML file: one that is compiled into the binary
// (nas/spaces) or a user's own. It turns genotypes into architectures and knows how many there are.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/rng.h"
#include "nn/architecture.h"

namespace offramp::nas {

struct SpaceModel;

// One index into a choice list per gene. Canonical: genes that are not expressed (layers beyond the depth,
// everything behind an exit that is off) are 0, and of choices with equal value the smallest index stands.
// Two canonical genotypes are equal exactly when their networks (architecture and threshold genes) are.
using Genotype = std::vector<i32>;

std::string to_text(const Genotype& genotype);  // "0,1,2"

struct Gene {
  std::string name;                 // "stage1.block2.kernel", "stage1.exit.threshold", "resolution"
  std::vector<std::string> values;  // what the choices are, as text; equal texts are equal choices
};

// What a network is built for. Height and width are the data's own size; they matter only in a space whose
// resolution is "native"; 0 = the space's reference size.
struct Task {
  i64 classes = 10, channels = 3, height = 0, width = 0;
};

class Space {
 public:
  // A built-in space by name; a file when the argument has a '/' or ends in ".toml".
  // Throws Error(usage) with the nearest spelling for an unknown name, Error(input) for a missing or wrong
  // file.
  static Space load(const std::string& name_or_path);
  // Reads a space from text; `path` is what error messages call it.
  static Space parse(std::string text, std::string path);
  static std::vector<std::string> builtin_names();

  const std::string& name() const;
  const std::string& text() const;  // the file as it was read: parse(text(), ...) gives the same space
  const std::vector<Gene>& genes() const { return genes_; }

  // Throws Error(usage) when count or range do not fit.
  void require(const Genotype& genotype) const;
  Genotype from_text(std::string_view text) const;  // checked, as it stands (not made canonical)
  Genotype canonical(const Genotype& genotype) const;
  // True for genes whose value changes the network: what variation may act on to some effect.
  std::vector<bool> expressed(const Genotype& genotype) const;

  // The plain network. Stages are "stage1", "stage2", ..., "final", each with an empty head where its exit is
  // off. Layer names do not depend on the genotype beyond what they are: two layers of the same name differ
  // only by prefixes of their channels, a centre crop of the kernel, stride and resizing; an exit layer of
  // another type has another name ("stage2.exit.module1.dense"). So weights can be shared by name. Throws
  // Error(usage) for a genotype that does not fit, Error(input) for a task no network can be built for.
  nn::Architecture decode(const Genotype& genotype, const Task& task = {}) const;

  // Exit positions, in order. The last one of a network, "final", is not counted.
  i64 exits() const;
  const std::string& exit_name(i64 exit) const { return exit_names_.at(std::size_t(exit)); }  // "stage1"
  i64 stage_of_exit(i64 exit) const;  // index into Architecture::stages
  bool can_switch_off(i64 exit) const;
  bool exit_on(const Genotype& genotype, i64 exit) const;
  bool any_exit_on(const Genotype& genotype) const;
  // The threshold gene: none where the exit is off or the space does not encode thresholds.
  std::optional<double> threshold_gene(const Genotype& genotype, i64 exit) const;
  // The same network with an exit switched; canonical. Throws Error(usage) when the space has no such choice.
  Genotype with_exit(const Genotype& genotype, i64 exit, bool on) const;
  // Writes a threshold back into its gene (nearest choice below 1); no effect where thresholds are no genes.
  Genotype with_threshold(const Genotype& genotype, i64 exit, double threshold) const;

  // Uniform per gene, drawn again while every exit is off; canonical.
  Genotype sample(Rng& rng) const;

  // The largest (smallest) choice of everything, gene by gene, every exit on; canonical.
  // Exit layer types count as larger in the order pool, pointwise, separable, mbconv, dense, resize_conv.
  Genotype max_genotype() const;
  Genotype min_genotype() const;
  // The backbone of the largest network with the exits of the smallest one.
  Genotype max_with_min_exits() const;
  // A few genotypes, the first of them max_genotype(), that hold every parameter of the space: for each
  // parameter name one of them has it at its full extents. What a supernet has to allocate.
  std::vector<Genotype> covering_genotypes() const;

  // How many canonical genotypes have at least one exit (all of them in a space without exits): exact,
  // decimal.
  std::string count() const;

  const SpaceModel& model() const { return *model_; }

 private:
  explicit Space(SpaceModel model);
  std::shared_ptr<const SpaceModel> model_;
  std::vector<Gene> genes_;
  std::vector<std::vector<i32>> first_equal_;  // per gene and choice: the smallest index of equal value
  std::vector<std::string> exit_names_;
};

}  // namespace offramp::nas
