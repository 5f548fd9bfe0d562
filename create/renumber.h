// The moved object (moved.h) without the compiler, where the numbers of lines stand in tables only.
//
// A unit below a hunk has other numbers in the tables of WARN, BUG and pr_debug, and mostly nowhere
// else. There they are known to be numbers of lines of a file that is named beside them, so they
// are exchanged in the original's object. Everything else is compared as it is: where code itself
// holds a number (ASSERT_RTNL()), the function still differs. So nothing that the patch changes is
// lost, and what is found too much is seen by is_certain(): then the compiler has to say it.
#pragma once

#include <vector>

#include "create/moved.h"
#include "objdiff/arch/series.h"
#include "objdiff/diff/section_diff.h"
#include "objdiff/object/object.h"

namespace ksplice {

// Gives the entries of object's tables the numbers that files have for their lines. Returns how
// many entries have another one now.
size_t renumber_tables(Object& object, const std::vector<MovedFile>& files,
                       const KernelSeries& series);

// Whether all that diff found between pre and post is the patch's own, whatever the numbers of the
// lines are: functions that have other instructions, and those that come, go or change with them.
bool is_certain(const ObjectDiff& diff);

}  // namespace ksplice
