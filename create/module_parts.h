// What the modules in a built folder are linked from, as kbuild lists it.
//
// An out-of-tree module's makefile may have rules of its own, and what they make has no record from
// which sources, or none at all: only the lists tell that it is a part. Such parts are not
// understood, so none of them may differ.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "create/kbuild.h"
#include "objdiff/base/error.h"

namespace ksplice {

// The parts of all modules that a make in folder left in root, which it lies in, by path relative
// to folder ("../shared/words.o"), with the modules' names ("pair", "a:b").
std::map<std::string, std::string> list_module_parts(const std::filesystem::path& folder,
                                                     const std::filesystem::path& root);

// Those of parts that are no units.
std::map<std::string, std::string> parts_beside(const std::map<std::string, std::string>& parts,
                                                const std::map<std::string, BuiltUnit>& units);

// What is known of a part: whose it is, and a copy of it, which need not be there.
struct OtherPart {
  std::string module;
  std::filesystem::path kept;
};

// A refusal (unsupported_file) for each part that differs, is new or is gone.
std::vector<Refusal> compare_other_parts(const std::map<std::string, OtherPart>& pre,
                                         const std::map<std::string, OtherPart>& post);

}  // namespace ksplice
