// What patches say of the preprocessor's macros: which they define, and which they ask for.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "create/patch.h"

namespace ksplice {

// The lines of a patch that begin with kind ('+', '-', ' '), without it.
std::vector<std::string> lines_of(const Patch& patch, char kind);

// The words (identifiers) of a text.
std::set<std::string> words_of(const std::string& text);

// "define" of "# define X 1", and what follows it; two empty texts if the line is no directive.
std::pair<std::string, std::string> directive_of(const std::string& line);

// The macro that a line of a source defines, or "".
std::string macro_defined_by(const std::string& line);

// The macros that a patch defines, takes away or changes.
std::set<std::string> macros_of(const Patch& patch);

// The words of lines, with those that continue them, of which a hunk brings a part, and whose
// meaning depends on macros without a word of the compiler: #if, IS_ENABLED().
std::set<std::string> asked_words(const Hunk& hunk);
bool asks_for(const Hunk& hunk, const std::string& macro);

}  // namespace ksplice
