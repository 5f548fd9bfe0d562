// A series without some of its patches: what the rest needs of them.
//
// In: the whole series, what of it is left out, the source. Out: a refusal for each patch of the
// rest that needs one which is left out, as far as texts tell; the compiler and the comparison of
// objects tell the rest. Never: a patch that is applied to other lines than in the whole series.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "create/patch.h"
#include "create/weave.h"
#include "objdiff/base/error.h"

namespace ksplice {

struct LeftOutPatch {
  size_t patch = 0;  // index in the series
  std::string code;  // of the refusal that it is left out for; empty: the user left it out
  std::string why;   // a line; empty: the user left it out
  bool is_chosen() const { return code.empty(); }
};

// The patches of the series that name means: a file as it was given or its name, all patches in it,
// or LABEL of a single one. Throws Error("usage") if there is none.
std::vector<size_t> find_patches(const std::vector<Patch>& patches, const std::string& name);

struct RestCheck {
  std::vector<Refusal> refusals;   // needs_patch
  std::vector<std::string> notes;  // functions of which the update has only a part of the change
};

// Where a patch that the user left out and one of the rest change one function, that is a note: the
// user decided. Where one was left out by itself and a later one, which was written on top of it,
// changes the same function, that is a refusal: half of a fix can be worse than none.
RestCheck check_rest(const std::vector<Patch>& patches, const std::vector<LeftOutPatch>& left_out,
                     const SourceReader& read);

// The left out patch that alone brings one of the words in quotes in a compiler's error, or the
// name that modpost misses, with that word; nothing if there is none.
struct Missing {
  size_t patch = 0;
  std::string word;
};
std::optional<Missing> find_missing(const std::vector<Patch>& patches,
                                    const std::vector<LeftOutPatch>& left_out,
                                    const std::string& output);

// Throws Refused, needs_patch, if the compiler's or modpost's error comes from what a left out
// patch brings; of other refusals of such a name, the advice says so. error has its origins.
void throw_missing(const std::vector<Patch>& patches, const std::vector<LeftOutPatch>& left_out,
                   Error& error);

// Leaves out what error comes from, and returns that; nothing if error is all that can be said, as
// what it comes from is not known. Throws Refused with everything in reasons, to which error is
// added, if then nothing is left.
std::vector<LeftOutPatch> leave_out_culprits(Error& error, const std::vector<Patch>& patches,
                                             std::vector<LeftOutPatch>& left_out,
                                             std::vector<Refusal>& reasons);

// Adds to the advice that the rest of a series may be made without what error comes from.
void advise_leaving_out(Error& error, const std::vector<Patch>& patches,
                        const std::vector<LeftOutPatch>& left_out);

// The patches that the error comes from, consequences of other refusals apart.
std::set<size_t> culprits_of(const Error& error, const std::vector<Patch>& patches);

// Why patch is left out for error.
LeftOutPatch left_out_for(const Error& error, const std::vector<Patch>& patches, size_t patch);

// Names between quotes in the lines with errors of a compiler's or modpost's words.
std::set<std::string> quoted_names(const std::string& output);

}  // namespace ksplice
