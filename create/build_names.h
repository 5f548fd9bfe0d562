// What a change of a makefile or a Kconfig file gives to the patches of its series, which need not
// say a word about it to the compiler: macros (-DNAME), options (CONFIG_X), variables of make, and
// that a source is compiled at all.
//
// In: the file's lines with and without the change. Out: names. A word of a makefile counts as a
// macro wherever it stands, as make may put "-D" before it elsewhere.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "create/patch.h"

namespace ksplice {

struct BuildNames {
  std::string path;                 // of the file
  std::set<std::string> macros;     // of C
  std::set<std::string> variables;  // of make
  std::set<std::string> options;    // without CONFIG_
  bool any_option = false;          // what several options depend on is another one
  // Paths without the kind of file: "fs/proc/version.", and folders: "fs/proc/new/".
  std::set<std::string> listed;
  std::set<std::string> governed;  // the same of single objects that have rules or flags
};

// Whether it is a makefile or a Kconfig file.
bool is_build_text(const std::string& path);

// The names that have another meaning in the file with lines after than with lines before.
BuildNames compare_build_names(const std::string& path, const std::vector<std::string>& before,
                               const std::vector<std::string>& after);

// Adds what a hunk for the file may mean that does not fit its lines, unless it is there already.
void add_astray(const Hunk& hunk, const std::vector<std::string>& lines, BuildNames& names);

// What of names a hunk of a file needs, in words: "asks for PROC_MODE, which that sets in
// fs/proc/Makefile"; "" if nothing.
std::string need_of(const std::string& file, const Hunk& hunk, const BuildNames& names);

}  // namespace ksplice
