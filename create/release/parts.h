// Which files of a release's difference belong together.
//
// A file's difference mostly stands by itself. Where it uses a name that the old source has neither
// in its headers nor where the files with that name are, it needs the file that brings that name;
// where the compiler says that it misses something, it needs the file that has it. Two files that
// share such a name are one fix, as far as texts tell.
//
// In: the differences, and the old source. Out: indices of files. Never: a decision about code; a
// part that is too small does not compile, or is refused.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "create/release/files.h"

namespace ksplice {

using FileSet = std::set<size_t>;  // indices

class ReleaseParts {
 public:
  // files must outlive this.
  ReleaseParts(const std::vector<ReleaseFile>& files, const std::filesystem::path& before);

  // The file, with all that it needs, and that these need.
  FileSet part_of(size_t file) const;

  // What the compiler, the linker or a refusal misses (names, and files in which there are errors),
  // of the files that are not in part; empty if nothing of it is known.
  FileSet missing(const FileSet& part, const std::set<std::string>& names,
                  const std::set<std::string>& paths) const;

  // The new names that a file shares with others, each with all its files.
  std::map<std::string, FileSet> shared_names(size_t file) const;

 private:
  void find_words();
  void find_new_names(const std::filesystem::path& before);
  void find_needs();
  FileSet files_with(const FileSet& part, const std::set<std::string>& names,
                     const std::vector<std::set<std::string>>& words, bool headers) const;

  const std::vector<ReleaseFile>& files_;
  std::vector<std::set<std::string>> added_, brought_;  // words of '+' lines; not in others
  std::map<std::string, FileSet> users_, bringers_;     // of new names
  std::vector<FileSet> needs_;
};

// Paths of a compiler's lines with errors ("../net/core/dev.c:7:1: error: ..."), below the source.
std::set<std::string> paths_with_errors(const std::string& output);

// Those of names that no file below folders of the old source has.
std::set<std::string> names_not_in(const std::filesystem::path& before,
                                   const std::set<std::string>& folders,
                                   const std::set<std::string>& names);

}  // namespace ksplice
