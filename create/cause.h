// Which line of the patch a function is replaced for.
//
// The first instruction that differs is a poor answer: registers are given out anew when anything
// changes, so it often belongs to an inlined function that the patch does not touch. The line table
// of the new object says which source lines a function's code comes from, inlined ones included;
// the patch says which lines are new. Where the two meet is the cause. What leaves no line of its
// own (a macro, a type) is the cause only if nothing else in the patch can be.
#pragma once

#include <deque>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "create/patch.h"
#include "create/targets.h"
#include "objdiff/object/dwarf.h"

namespace ksplice {

// What the patches change in a file, by its new lines. Where lines are only taken away, those on
// both sides of the place count, as exact == false.
struct ChangedLines {
  struct Range {
    unsigned first = 0, last = 0;
    bool exact = true;
  };
  std::string file;   // as in the patch
  std::string patch;  // its name, if several were given
  std::vector<Range> ranges;
};

std::vector<ChangedLines> find_changed_lines(const std::vector<FileChange>& changes,
                                             const std::vector<Patch>& patches,
                                             const std::filesystem::path& source);

// "net/ipv4/tcp_ipv4.c:2012" of the new source, with "PATCH: " in front if there are several; ""
// if the patch has no line that can be told. lines: the file and line of each piece of the
// function's code, in their order; here: that of the first difference.
std::string find_cause(const std::vector<ChangedLines>& changed,
                       const std::vector<SourceLine>& lines, const SourceLine& here);

// Fills causes of each unit, for functions that are changed or new.
void find_causes(std::deque<ChangedUnit>& units, const std::vector<ChangedLines>& changed);

// The lines of all code of function, its fragments (.cold, .part) included, in their order.
std::vector<SourceLine> lines_of(const ChangedUnit& unit, const DebugInfo& debug,
                                 const FunctionDiff& function);

// A path of the line table, without the folders that Ksplice compiles in.
std::string plain_path(const std::string& path);

}  // namespace ksplice
