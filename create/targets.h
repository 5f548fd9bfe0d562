// From pairs of objects to the update objects of the targets they belong to.
#pragma once

#include <deque>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "create/config_dir.h"
#include "create/package/package.h"
#include "create/pairs.h"
#include "objdiff/diff/section_diff.h"
#include "objdiff/image/run_image.h"
#include "objdiff/image/run_types.h"
#include "objdiff/update/update_object.h"

namespace ksplice {

// A unit whose code changed, with its objects in memory.
struct ChangedUnit {
  std::string name, target;
  Object pre, post;
  ObjectDiff diff;
  MatchResult match;
  std::map<std::string, std::string> causes;  // function -> line of the patch (cause.h)
  std::vector<std::string> begun_anew;        // variables that are new, as the user says
};

// Stage "diff": reads and compares the pairs; units without a difference drop out. Refusals of the
// comparison are added to refusals, and what the update does not do to notes.
std::deque<ChangedUnit> diff_pairs(const std::vector<ObjectPair>& pairs,
                                   std::vector<Refusal>& refusals, std::vector<std::string>& notes);

// The images of the targets. The kernel's is read at construction and must be of kernel's release.
class Images {
 public:
  // lowers: the updates that are applied to it (lower.h); they become a part of the images.
  Images(const KernelConfig& kernel, const std::filesystem::path& cache,
         const std::filesystem::path& work, const std::vector<Package>& lowers);
  const RunImage& vmlinux() const { return images_.at("vmlinux"); }
  // Throws Error("target_not_found") if there is no .ko of that name.
  const RunImage& get(const std::string& target);
  // The types of a target, with the kernel's behind them.
  const RunTypes& types(const std::string& target);

 private:
  const KernelConfig& kernel_;
  const std::vector<Package>& lowers_;
  std::filesystem::path work_;
  std::map<std::string, RunImage> images_;
  std::map<std::string, RunTypes> types_;
  std::map<std::string, std::filesystem::path> modules_;
};

// Stage "match": proves that the running code is pre, and compiled with the same types. Every
// function that changed must be matched; what is not is added to refusals. Functions that the
// kernel does not contain (absent.h) are taken out of the units' changes, with a note for each.
void match_units(std::deque<ChangedUnit>& units, Images& images, std::vector<Refusal>& refusals,
                 std::vector<std::string>& notes);

// Whether a unit's names are others with the patch, which can lead code of other units elsewhere.
bool changes_names(const ChangedUnit& unit);
// Adds what global_names.h refuses, of all targets. A part of make_updates.
void judge_names(const std::deque<ChangedUnit>& units, Images& images,
                 std::vector<Refusal>& refusals);

struct TargetUpdate {
  std::string target, module;
  UpdateObject update;
};

// Stage "update objects": one per target, by name of the target, but behind those whose new code
// it uses.
std::vector<TargetUpdate> make_updates(const std::deque<ChangedUnit>& units, Images& images,
                                       const std::string& id, const std::string& description,
                                       std::vector<Refusal>& refusals);

// What the manifest says about a target.
PackageTarget describe_target(const TargetUpdate& target, const std::deque<ChangedUnit>& units,
                              Images& images);

// What its undo leaves behind, for the user: notes, or nothing.
std::vector<std::string> describe_given_away(const TargetUpdate& target);

}  // namespace ksplice
