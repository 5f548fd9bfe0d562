// What the kernel's build makes of a source file beside the units that an update can replace.
//
// A header is not read by C alone: the vdso, the code that runs before the kernel or between two
// of them, and linker scripts are made from the same files, by the same build; and some headers are
// themselves made from others (asm-offsets.h from the layout of structures). None of that can be
// exchanged in a running kernel, and an update that does the C half of such a change makes two
// halves of a kernel that do not fit. So what may read the change is built before and after it,
// with the kernel's own rules, and compared: alike means that only C is concerned.
//
// In: the folders that may read the change. Out: a refusal for each thing that differs, by name.
// Never: a judgement from names or texts of sources alone where the thing itself can be built.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "create/kbuild.h"
#include "create/overlay.h"
#include "create/patch.h"
#include "objdiff/base/error.h"

namespace ksplice {

// A program or script that the build makes beside the kernel's own objects.
struct OutsideProgram {
  const char* folder;   // of its Makefile
  const char* sources;  // what paths of its sources begin with
  const char* what;     // "the vdso, which processes have mapped"
  // make's expressions for what is built, and for what of it is compared, in its Makefile.
  const char* goals;
  const char* parts;
  bool reads_tables;  // includes what the kernel's build makes of tables
  bool has_run;       // before the kernel, and does not run again while that runs
};

// Those that may read one of changed, where readers are the .c and .S files that may include it.
std::vector<const OutsideProgram*> find_outside(const std::filesystem::path& tree,
                                                const std::vector<std::string>& changed,
                                                const std::set<std::string>& readers);

// Whether a source lies in the folder of such a program.
bool is_outside(const std::string& path);

// The difference between two objects beside debug information, or "": "at <startup_32+0x4>: nop,
// was ret".
std::string object_difference(const std::filesystem::path& pre, const std::filesystem::path& post);

// What differs between two texts of a generated header, comments apart: "-#define A 1 +#define A
// 2".
std::string text_difference(const std::string& pre, const std::string& post);

class Outside {
 public:
  Outside(Overlay& overlay, const Kbuild& kbuild, std::vector<const OutsideProgram*> programs,
          const std::vector<FileChange>& changes);

  std::string names() const;  // of the programs, for people

  // On the tree as it is.
  void build_pre();
  // On the patched tree, after its units were compiled. Returns what cannot be updated; of it, what
  // has run already has the option by which it may stay as it is.
  std::vector<Refusal> build_post();

 private:
  struct Part {
    std::filesystem::path kept;  // a copy of it before the change
    const OutsideProgram* program;
  };
  MakeResult build(std::vector<std::string>& parts) const;
  std::map<std::string, std::string> generated_texts() const;
  const OutsideProgram* owner_of(const std::string& part) const;
  std::vector<std::string> changes_in(const std::string& part) const;
  void compare_generated(std::vector<Refusal>& refusals) const;
  void compare_parts(std::vector<Refusal>& refusals) const;

  Overlay& overlay_;
  const Kbuild& kbuild_;
  std::vector<const OutsideProgram*> programs_;
  const std::vector<FileChange>& changes_;
  std::map<std::string, Part> parts_;
  std::map<std::string, std::string> texts_;
};

// A refusal of something that is made from changed files (all may be empty).
Refusal refuse_outside(const std::string& code, const std::string& thing,
                       const std::string& message, const std::vector<std::string>& changed);

// Takes away those that --leave-out-init takes on; returns a note for each.
std::vector<std::string> leave_out_boot_code(std::vector<Refusal>& refusals);

}  // namespace ksplice
