// What a change of a makefile means for the units that are there already.
//
// In: its text before and after. Out: the objects that come into its lists and go out of them,
// whether anything else changes (flags, rules, conditions), and for which units. Never: a judgement
// of what that does; it takes a compiler to know.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "create/units.h"

namespace ksplice {

struct BuildFileDiff {
  std::vector<std::string> added, removed;  // "a.o", or "folder/"
  bool other = false;
};

// Without comments; an object counts as another one under another condition or in another list.
BuildFileDiff compare_build_files(const std::string& before, const std::string& after);

// Whether what a makefile says may count for the folders below its own.
bool is_deep(const std::string& makefile);

// Sources of the units of table that folder's makefile may have flags for: those of the folder,
// with folders below that have no makefile, or all below it if is_deep. Where a makefile above
// includes it, those below that one.
std::vector<std::string> governed_sources(const std::filesystem::path& tree, std::string folder,
                                          bool is_deep,
                                          const std::map<std::string, ConfiguredUnit>& table);

}  // namespace ksplice
