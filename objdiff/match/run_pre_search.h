// The search for the places of one unit's functions; internal to run_pre.cc (which place),
// run_pre_evidence.cc (what speaks against one) and run_pre_report.cc (what is said about it).
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "objdiff/match/match_code.h"
#include "objdiff/match/pre_index.h"
#include "objdiff/match/run_pre.h"
#include "objdiff/match/unit_layout.h"

namespace ksplice {

// A function at one of the places where it might be.
struct Trial {
  const Entity* entity = nullptr;
  uint64_t entry = 0;        // where it is called; code.addr is elsewhere if an update replaced it
  bool is_replaced = false;  // by an applied update, in whose module code.addr is
  Comparison code;
  std::vector<Sighting> sightings;  // also those of the read-only data that it reaches
  std::vector<InnerReference> inner;
  std::vector<std::pair<std::pair<const Section*, uint64_t>, uint64_t>> merged;
  CodeDifference difference;  // if not viable
  bool viable = false;
};

struct Candidate {
  const Entity* entity = nullptr;
  std::deque<Trial> trials;  // chosen points into it while more are added
  const Trial* chosen = nullptr;
  std::set<uint64_t> tried;
  std::string unproven;  // why what was chosen had to be given up
};

// What may decide between places that are alike.
enum class Evidence { References, Between, Beside };

class RunPre {
 public:
  RunPre(const Object& pre, const RunImage& image);
  MatchResult run();

 private:
  // run_pre.cc
  Trial try_at(const Entity& entity, uint64_t entry);
  bool follow_data(Trial& trial);
  const Comparison& compare_data(const Entity& entity, uint64_t addr);
  bool settle_one(Evidence evidence);
  void commit(Candidate& candidate, const Trial& trial);
  void add_candidates(Candidate& candidate);
  void drop_unproven();
  std::string unproven_reference(const Candidate& candidate) const;

  // run_pre_evidence.cc
  bool image_knows(const std::string& name);
  bool is_in_place(const Entity& entity, uint64_t addr) const;
  std::string objection(const Entity& entity, uint64_t addr);
  std::string objection_to_kind(const Entity& entity, uint64_t addr) const;
  std::string objection_to_name(const Entity& entity, uint64_t addr);
  std::string objection_to_unknown(const Entity& entity, uint64_t addr) const;
  std::string objection(const Trial& trial);
  void check_choices(MatchResult& result);
  void name_the_rest(MatchResult& result);
  std::string objection_to_unmentioned(const Entity& entity, uint64_t addr, uint64_t& offset);

  // run_pre_report.cc
  FunctionMatch report(const Symbol& symbol, const Candidate& candidate);
  void explain(FunctionMatch& match, const Candidate& candidate);
  Refusal data_refusal(const Entity& entity, uint64_t addr, uint64_t offset,
                       const std::string& why) const;
  Refusal refusal_for(const Candidate& candidate, const Trial& trial) const;
  void add_advice(MatchResult& result) const;

  const Object& object_;
  const RunImage& image_;
  const RunTables& tables_;
  PreIndex index_;
  Matcher matcher_;
  UnitLayout layout_;
  std::unordered_map<std::string, uint64_t> imports_;
  std::unordered_map<std::string, bool> image_knows_;
  std::vector<Candidate> candidates_;
  std::unordered_map<const Entity*, Candidate*> by_entity_;
  std::unordered_map<const Entity*, uint64_t> known_;
  std::map<std::pair<const Section*, uint64_t>, uint64_t> merged_;  // constants without a name
  std::map<std::pair<const Entity*, uint64_t>, Comparison> data_;
};

// All symbols of it are weak: another unit may define it, too.
bool is_weak(const Entity& entity);

}  // namespace ksplice
