// One part of a release, tried by itself.
//
// In: a part, as indices of files. Out: what becomes of it: an update can be made, or with which
// options, or why not. The proof is that of every update: it is made, and thrown away. Never: a
// part that is taken for live from its text.
#pragma once

#include <string>
#include <vector>

#include "create/options.h"
#include "create/release/files.h"
#include "create/release/parts.h"
#include "create/release/report.h"
#include "create/release/survey.h"
#include "objdiff/base/error.h"

namespace ksplice {

class Trials {
 public:
  // base: what the user asked for; key: all that decides what comes out, beside this tool and the
  // files. Everything must outlive this.
  Trials(const Options& base, const std::string& key, const std::vector<ReleaseFile>& files,
         const ReleaseParts& parts, Survey& survey, const std::filesystem::path& after,
         Progress& progress);

  // Without an update being made: true if the file has a verdict then. Fills units in any case.
  bool judge_by_name(size_t file, PartReport& report);
  // By making updates. What came out is kept in the cache.
  void judge(size_t file, PartReport& report);
  // What was kept of that. False: nothing.
  bool recall(size_t file, PartReport& report) const;

 private:
  FileSet to_try(size_t file) const;
  size_t count_units(const FileSet& part);
  bool is_too_wide(const FileSet& part, PartReport& report);
  void try_part(FileSet& part, Options options, PartReport& report);
  void take_error(const Error& error, PartReport& report) const;
  bool widen(const Error& error, FileSet& part) const;
  std::filesystem::path kept_at(size_t file) const;

  const Options& base_;
  const std::vector<ReleaseFile>& files_;
  const ReleaseParts& parts_;
  Survey& survey_;
  const std::filesystem::path& after_;
  Progress& progress_;
  std::string key_;
};

// Whether no other part can do better after this error.
bool ends_all(const Error& error);

// What the user asked for, as one for an update from patches.
Options part_options(const Options& options);

// The name of a file's patch in a series.
std::string patch_name(const ReleaseFile& file);

// The patches of files, one for each, written into folder: what --patch takes.
std::vector<std::string> write_patches(const std::vector<ReleaseFile>& files, const FileSet& part,
                                       const std::filesystem::path& folder);

// The options that the refusals' advice says would take them on; empty if one has none.
std::vector<std::string> options_advised(const std::vector<Refusal>& refusals);

// As if the option had been on the command line.
void add_option(const std::string& option, Options& options);

}  // namespace ksplice
