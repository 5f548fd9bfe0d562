// Compiles the affected units as they are (pre), as the patch makes them (post), and where line
// numbers could look like changes, as they are with the patch's numbers (moved, see moved.h).
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "create/affected.h"
#include "create/kbuild.h"
#include "create/overlay.h"
#include "create/progress.h"
#include "create/source_files.h"
#include "objdiff/arch/series.h"
#include "objdiff/diff/section_diff.h"
#include "objdiff/object/object.h"

namespace ksplice {

struct ObjectPair {
  std::string unit;                // "net/ipv4/tcp_ipv4.o", of post
  std::string target;              // "vmlinux" or a module
  std::filesystem::path pre;       // empty if the unit is new
  std::filesystem::path post;      // empty if the unit is gone
  std::filesystem::path moved;     // empty where no line moves or it makes no difference
  bool same = false;               // pre and post were compared and are the same; there is no moved
  std::vector<std::string> notes;  // of that comparison
  PairFacts facts;
};

// Looks at the pairs of the files that the patch changes, before the many units are compiled that
// only read its headers. Throws what those cannot lift.
using EarlyJudge = std::function<void(const std::vector<ObjectPair>&)>;

struct PairInput {
  Overlay& overlay;
  const Kbuild& kbuild;
  const std::vector<AffectedUnit>& units;
  const std::vector<const OutsideProgram*>& outside;
  const std::vector<FileChange>& changes;
  SourceFiles& files;
  std::filesystem::path cache;  // of objects
  std::string key;              // what they depend on beside the sources
  EarlyJudge judge;
  const KernelSeries& series;  // of the kernel
  // Moved objects without the compiler where it is certain (renumber.h), and units with commands
  // that are known (recompile.h).
  bool shortcuts = true;
  bool keeps_commands = false;  // the patch leaves alone what these come from
  bool leaves_out_boot_code = false;
};

struct PairObjects {
  Object pre, post;
  ObjectDiff diff;
};

// What the exit code of a unit (.exit.text) is: kept apart, as start code is, or code like any
// other. In a loaded module it is still to run.
enum class ModuleExit { Apart, Live };

// Reads and compares the objects of a pair. pre stays empty if the unit is new, post if it is gone.
PairObjects compare_pair(const ObjectPair& pair, ModuleExit module_exit = ModuleExit::Apart);

// kbuild puts one object into several modules ("a:b" is its target then): makes a pair for each.
void split_by_target(std::vector<ObjectPair>& pairs);

// Pre objects come from the cache where every file they were made from is as it was; where many
// units read a changed header, post objects too, so that work that is interrupted is not lost, and
// the patch's own files are compiled and judged before the others. Leaves the
// patched files in the overlay. Throws Error("source_changed") if a file that it read was written
// meanwhile, Error("compile_failed") with the compiler's words,
// Error("pre_build_failed") if already the source as it is does not compile, and
// Error("moved_failed") if it does not with the patch's line numbers; Refused for assembly, and for
// what is built beside the kernel's own units, where the patch changes it.
std::vector<ObjectPair> build_pairs(const PairInput& input, Progress& progress);

}  // namespace ksplice
