// What is done with each section of the kernel's objects: of units, of modules and of vmlinux. The
// only list of them: what is not in it is refused where a patch touches it, and a test fails where
// a kernel has another (tests/tools/sections.sh).
#pragma once

#include <span>
#include <string_view>

namespace ksplice {

enum class SectionUse {
  Content,     // code and data: compared, and carried, by function and by datum
  Entries,     // a table whose entries are carried with the code that they are about
  Objtool,     // made by objtool from code, and made again over the finished update
  Start,       // used only at start or exit; a change is refused (init_changed)
  Judged,      // has a judge of its own: exports, tracepoints, BTF ids, static calls
  Registered,  // read once, at start or when the module is loaded: something new is refused
  Told,        // says something of the code to others: a change is a note
  Link,        // for the linker, the loader and debuggers: nothing in the kernel reads it
};

struct SectionRule {
  std::string_view name;  // ends in '*': a prefix
  SectionUse use;
  bool is_whole;          // never cut into the things that its symbols name
  std::string_view what;  // for messages: what an entry is
};

// The first that fits, or null.
const SectionRule* section_rule(std::string_view name);
std::string_view describe(SectionUse use);

}  // namespace ksplice
