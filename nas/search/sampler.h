// Ask, evaluate, tell: a sampler proposes, somebody else evaluates in any order, and tells. A sampler is a
// deterministic function of its seed and of what it is told, so a search is resumed by running it again with
// the evaluations looked up.
#pragma once
#include <algorithm>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "nas/progress.h"
#include "nas/search/candidate.h"

namespace offramp::nas {

class Sampler {
 public:
  virtual ~Sampler() = default;

  // The next generation, at most `limit` candidates (a shorter one is a prefix of the whole one), none of
  // them ever proposed before. Empty when no new genotype could be found: the space is used up. Throws Error
  // when the previous generation has not been told, Error(interrupted), unchanged, when `watch` wants to
  // stop.
  std::vector<Proposal> ask(i64 limit, const Watch& watch = {});
  // How many candidates ask(limit) looks for.
  i64 size_of_next(i64 limit) const { return std::min(limit, generation_size(generation_)); }

  // Instead of ask(): the next generation as an earlier run of the same search proposed it, `proposals` in
  // order and whole. Leads to the same state without the work of finding them. Throws Error(input)
  // when ids, generation or genotypes do not continue this search.
  void replay(std::vector<Proposal> proposals);

  // One evaluation for each of the last proposals, in any order. Scores that are not finite become failures.
  // Throws Error when ids or the number of objectives do not match.
  void tell(std::span<const Evaluation> evaluations);

  // Everything told, by id.
  const std::vector<Candidate>& candidates() const { return candidates_; }
  i64 generation() const { return generation_; }  // generations asked so far

 protected:
  explicit Sampler(GeneSpace space);

  // Before the first propose() of a generation: work that serves all of it. May throw Error(interrupted).
  virtual void prepare(i64 /*generation*/, const Watch& /*watch*/) {}
  // Individual `index` of generation `generation`, made with offer() or random_proposal(); id and generation
  // are filled in by the caller. Nothing: no new genotype found.
  virtual std::optional<Proposal> propose(i64 generation, i64 index) = 0;
  virtual i64 generation_size(i64 generation) const = 0;
  // The generation just told is candidates()[first...].
  virtual void told(std::size_t first) = 0;

  // Canonical form of `genes` if it is valid and was never proposed.
  std::optional<Genotype> offer(const Genotype& genes) const;
  // Uniform random, a bounded number of tries.
  std::optional<Proposal> random_proposal(Rng& rng) const;

  const GeneSpace& space() const { return space_; }

 private:
  GeneSpace space_;
  std::map<Genotype, i64> known_;  // canonical genotype -> id, of everything proposed
  std::vector<Candidate> candidates_;
  std::vector<Proposal> pending_;
  i64 generation_ = 0;
  std::size_t objectives_ = 0;  // 0: not yet known
};

}  // namespace offramp::nas
