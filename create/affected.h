// From changed files to the units that must be compiled.
#pragma once

#include <string>
#include <vector>

#include "create/includes.h"
#include "create/outside.h"
#include "create/overlay.h"
#include "create/patch.h"
#include "create/units.h"
#include "objdiff/base/error.h"

namespace ksplice {

enum class FileKind {
  Code,       // part of a unit: .c, or included by one
  BuildFile,  // Makefile, Kbuild
  Shared,     // source of another program: counts if the kernel reads it
  Ignored,    // documentation, Kconfig, other architectures
  Refused,    // code that no update can reach: vdso, boot, assembly
};

struct FileClass {
  FileKind kind = FileKind::Code;
  std::string why;  // for Ignored and Refused
};

FileClass classify_file(const std::string& path);

// Throws Refused for changes to files that no update can reach, and Error("no_change") if nothing
// that the kernel is built from is changed. Returns notes on what is ignored. Looks at names only,
// and at the Makefiles of source for files that code is made from by a program.
std::vector<std::string> check_files(const std::vector<FileChange>& changes,
                                     const std::filesystem::path& source);

// One object to be compiled before and after the change. post is empty if the unit is gone
// (gone_units.h), pre if it is new.
struct AffectedUnit {
  std::string pre, post;  // goals for kbuild
  bool certain = true;    // false: may turn out not to include what changed
  std::string target;     // "vmlinux" or a module; empty if the unit is new
  bool assembly = false;  // its object must stay as it is
  bool made = false;      // a program makes its source, and what it reads is not known before
  bool by_rule = false;   // kbuild names its module wrong to the compiler: by its stem
};

struct Affected {
  std::vector<AffectedUnit> units;
  std::vector<FileChange> changes;             // those that the kernel's build may read
  std::vector<const OutsideProgram*> outside;  // what else may read the change
  bool makes_headers = false;                  // headers that the build makes may change
  bool may_take_units = false;                 // units may be gone with the change
  std::vector<Refusal> refusals;
  std::vector<std::string> notes;
};

// table is of the tree before the change. New .c files are not in it: they get post only, and the
// caller must check that the changed Makefiles build them. A header that is new may be found now in
// the place of another one of its name, by units that are not changed.
// tree has files, sorted; cache is the file in which it is kept what each of them includes, or
// empty.
Affected find_affected(const std::vector<FileChange>& changes, UnitTable& table,
                       const std::filesystem::path& tree, const std::vector<std::string>& files,
                       const std::filesystem::path& cache = {});
// The same, with what the tree's files include known already.
Affected find_affected(const std::vector<FileChange>& changes, UnitTable& table,
                       const std::filesystem::path& tree, const std::vector<std::string>& files,
                       const Includes& includes);
inline Affected find_affected(const std::vector<FileChange>& changes, UnitTable& table,
                              const Overlay& overlay) {
  return find_affected(changes, table, overlay.tree(), overlay.files(), overlay.includes());
}

}  // namespace ksplice
