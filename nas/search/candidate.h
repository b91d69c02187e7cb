// A candidate's way through the search: proposed, evaluated, kept. Failure is its own kind of answer, never a
// bad score.
#pragma once
#include <string>
#include <variant>
#include <vector>

#include "nas/search/genes.h"

namespace offramp::nas {

struct Scored {
  std::vector<double> objectives;  // minimised; as many for every candidate of a search
  double violation = 0;            // 0: feasible; else by how much constraints are missed, in any one unit
  i64 rungs_left = 0;              // of training that it was stopped short of; 0: trained as long as any
  std::vector<double> learned{};   // what surrogates are to learn instead of the objectives; may be empty
  friend bool operator==(const Scored&, const Scored&) = default;
};
struct Failed {
  std::string reason;
  friend bool operator==(const Failed&, const Failed&) = default;
};
using Outcome = std::variant<Scored, Failed>;

// Found by a search on surrogates, with no gene that comes from a candidate evaluated before.
inline constexpr char kRandomBySurrogate[] = "surrogate, random";

struct Proposal {
  i64 id = 0;  // order of proposal, from 0
  i64 generation = 0;
  Genotype genotype;         // canonical
  std::string origin;        // seed, random, variation, surrogate; kRandomBySurrogate
  std::vector<i64> parents;  // ids
  // By surrogates, before the evaluation: what they learn of it, and the kind of model that said so; both may
  // be empty.
  std::vector<double> predicted{};
  std::vector<std::string> predicted_by{};
  friend bool operator==(const Proposal&, const Proposal&) = default;
};

struct Evaluation {
  i64 id;
  Outcome outcome;
};

struct Candidate {
  Proposal proposal;
  Outcome outcome;
};

// Objectives of a candidate that may enter a front: scored and feasible; else null.
inline const std::vector<double>* feasible_objectives(const Outcome& outcome) {
  const Scored* scored = std::get_if<Scored>(&outcome);
  return scored && scored->violation <= 0 ? &scored->objectives : nullptr;
}

}  // namespace offramp::nas
