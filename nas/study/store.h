// archive.sqlite: everything a search has evaluated, safe against being killed at any instruction. One
// writer; readers may look on at any time.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "nas/search/candidate.h"
#include "nas/study/records.h"

namespace offramp::nas {

// Keys of Store::meta that others than the search itself read.
inline constexpr char kMetaFinished[] = "finished";  // set once everything is written
inline constexpr char kMetaInfeasible[] =
    "infeasible";                                  // beside it when no network met target and limits: why
inline constexpr char kMetaClasses[] = "classes";  // of the data: chance is the worst of accuracies

inline constexpr char kPhaseSupernet[] = "supernet";
inline constexpr char kMetaConfig[] = "config";  // run.toml as the run was created with
inline std::string meta_of_final(i64 id) { return "final " + std::to_string(id); }
inline std::string meta_of_curve(i64 id) { return "curve " + std::to_string(id); }
inline std::string phase_of_final(i64 id) { return "final " + std::to_string(id); }

class Store {
 public:
  static constexpr int kVersion = 4;  // of the tables; another version is refused

  enum class Access { read, write };

  // A new archive. Throws Error when the file holds a study already, the folder cannot be written, or another
  // process writes here.
  static Store create(const std::string& path);
  // An archive that exists. Throws Error(input) when it is missing, damaged, of another version or not an
  // archive at all, Error(failed) when it is to be written but another process does already.
  static Store open(const std::string& path, Access access);

  Store(Store&&) noexcept;
  Store& operator=(Store&&) noexcept;
  ~Store();  // closes; a file that was written is left as one file, without its log, where possible

  // Everything below throws Error(input) when the file turns out damaged, Error(failed) when it cannot be
  // written. Each write is committed when it returns.

  // What `body` writes is kept as a whole, once it returns, or not at all. Nests.
  void atomically(const std::function<void()>& body);

  // Study: configuration text, seed, ... by key.
  void set_meta(const std::string& key, const std::string& value);
  std::optional<std::string> meta(const std::string& key) const;

  // Throws Error when the id or the genotype is there already.
  void add(const CandidateRecord& candidate);
  // In place of the one with its id. Rungs that it was stopped short of are dropped.
  void replace(const CandidateRecord& candidate);
  std::optional<CandidateRecord> find(const Genotype& genotype) const;  // canonical
  std::optional<CandidateRecord> candidate(i64 id) const;
  std::vector<CandidateRecord> candidates() const;  // by id
  i64 candidate_count() const;

  // Of a generation, what is decided but not evaluated; replaces what was pending. add() takes a candidate
  // out of it.
  void set_pending(std::span<const Proposal> proposals);
  // A generation as it was proposed, evaluated or pending, by id.
  std::vector<Proposal> proposals(i64 generation) const;

  // How many candidates, counted by id, evaluation has begun with.
  i64 begun() const;
  // An ended study goes on: drops that it ended and what was kept of its final networks.
  void reopen();

  // A candidate as a rung of successive halving has left it; add() follows once it goes no further. Throws
  // Error when it is there already.
  void add_rung(const CandidateRecord& candidate);
  std::optional<CandidateRecord> rung(i64 id, i64 rungs_left) const;
  std::vector<CandidateRecord> rungs() const;  // by id, each from its first rung on

  void set(const GenerationRecord& generation);  // replaces what the generation had
  std::vector<GenerationRecord> generations() const;

  // Candidates' own training is in their records. `phase`: kPhaseSupernet or phase_of_final; replaces what it
  // had.
  void set_training_macs(const std::string& phase, i64 macs);
  TrainingCost training_cost() const;

  void add_event(const std::string& kind, const std::string& text);  // stamped with the time of day
  void add(const EventRecord& event);
  std::vector<EventRecord> events() const;

 private:
  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace offramp::nas
