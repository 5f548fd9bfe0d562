// What is said about functions and data that do not match.
#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "objdiff/match/likely_cause.h"
#include "objdiff/match/run_pre_search.h"
#include "objdiff/match/run_ranges.h"

namespace ksplice {
namespace {

std::string hex(std::span<const uint8_t> bytes) {
  std::string text;
  for (uint8_t byte : bytes) text += fmt::format("{:02x} ", byte);
  return text;
}

}  // namespace

// A named constant that no matched code refers to.
Refusal RunPre::data_refusal(const Entity& entity, uint64_t addr, uint64_t offset,
                             const std::string& why) const {
  Refusal refusal;
  refusal.code = "no_match";
  refusal.object = object_.path;
  refusal.section = entity.section->name;
  refusal.symbol = entity.name();
  refusal.offset = offset;
  refusal.message = why;
  uint64_t length = std::min<uint64_t>(16, entity.end - entity.begin - offset);
  refusal.expected = hex(std::span(entity.section->data).subspan(entity.begin + offset, length));
  if (auto bytes = image_.read(addr + offset, length)) refusal.found = hex(*bytes);
  return refusal;
}

Refusal RunPre::refusal_for(const Candidate& candidate, const Trial& trial) const {
  const Entity& entity = *candidate.entity;
  Refusal refusal;
  refusal.code = "no_match";
  refusal.object = object_.path;
  refusal.section = entity.section->name;
  refusal.symbol = entity.name();
  refusal.offset = trial.difference.pre_offset;
  refusal.message = trial.difference.what;
  refusal.expected = disassemble_around(object_, *entity.section, entity.begin, entity.end,
                                        entity.begin + trial.difference.pre_offset);
  uint64_t length = entity.end - entity.begin + 64;
  const RunSection* section = image_.section_at(trial.code.addr);
  if (section != nullptr && section->addr + section->data.size() > trial.code.addr) {
    length = std::min(length, section->addr + section->data.size() - trial.code.addr);
    auto bytes = image_.read(trial.code.addr, length);
    if (bytes)
      refusal.found = disassemble_around(*bytes, trial.code.addr, trial.difference.run_offset);
  }
  return refusal;
}

FunctionMatch RunPre::report(const Symbol& symbol, const Candidate& candidate) {
  FunctionMatch match;
  match.pre = &symbol;
  if (candidate.chosen != nullptr) {
    match.status = MatchStatus::Matched;
    match.run = make_run_code(index_, image_, tables_, *candidate.entity, candidate.chosen->code);
    match.run.name = symbol.name;
  } else if (candidate.trials.empty()) {
    match.reason = "the image has no symbol of this name";
  } else if (is_weak(*candidate.entity)) {
    match.reason = "weak, and the image has another definition";
  } else {
    match.status = MatchStatus::Mismatched;
    explain(match, candidate);
  }
  return match;
}

void RunPre::explain(FunctionMatch& match, const Candidate& candidate) {
  // The most telling trial is where an update changed the code, or the one that went furthest.
  const Trial* best = nullptr;
  unsigned viable = 0;
  for (const Trial& trial : candidate.trials) {
    if (trial.viable && objection(trial).empty()) viable++;
    auto rank = [](const Trial& each) {
      return std::tuple(each.is_replaced, each.viable, each.difference.pre_offset);
    };
    if (best == nullptr || rank(trial) > rank(*best)) best = &trial;
  }
  match.refusal = refusal_for(candidate, *best);
  if (best->is_replaced)
    match.refusal.advice = fmt::format(
        "what runs is the code of update module {}: SOURCE must have that update's patch in it",
        image_.owner_of(best->code.addr));
  if (best->is_replaced && !best->viable) {
    match.reason = best->difference.what;
  } else if (viable > 1) {
    match.refusal.message = fmt::format("{} functions of this name are alike", viable);
    match.reason = "ambiguous";
  } else if (!candidate.unproven.empty()) {
    match.refusal.message = candidate.unproven;
    match.reason = "unproven";
  } else if (best->viable) {
    match.refusal.message = objection(*best);
    match.reason = "contradiction";
  } else {
    match.reason = best->difference.what;
  }
}

void RunPre::add_advice(MatchResult& result) const {
  size_t counts[3] = {};
  for (const FunctionMatch& match : result.functions) counts[static_cast<size_t>(match.status)]++;
  size_t mismatched = counts[static_cast<size_t>(MatchStatus::Mismatched)];
  if (mismatched == 0 && result.contradictions.empty()) return;
  std::string cause =
      likely_cause(object_, image_, counts[static_cast<size_t>(MatchStatus::Matched)], mismatched);
  for (FunctionMatch& match : result.functions)
    if (match.status == MatchStatus::Mismatched && match.refusal.advice.empty())
      match.refusal.advice = cause;
  for (Refusal& refusal : result.contradictions) refusal.advice = cause;
}

}  // namespace ksplice
