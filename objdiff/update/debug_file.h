// Makes the debug information of an update module: that of the post objects, led to where the
// linker put their code.
//
// The modules themselves are made without it (create/update_module.cc), and only the debug
// information of what is in the update may stay. So: the module's sections without their content,
// its symbols, and the objects' .debug_* sections, one behind the other. What leads from one of
// these to another is filled in, what leads to code and data of the module is a relocation against
// the module's section, as in any other relocatable module. Functions that are not in the update
// become empty, their rows of the line table and their entries of .debug_frame and .debug_aranges
// go, and variables that are elsewhere (in the running kernel, whose own debug information has
// them) become "optimized out": a debugger that knows no address must not print what is at address
// 0.
//
// Example, tcp_v4_rcv of examples/: .text.tcp_v4_rcv+0x43c of the post object is
// ksplice_ID_tcp_v4_rcv+0x43c in the module, so a row of the line table at the one becomes a row at
// .text+0x44c.
//
// Not handled: DWARF 4 and older, and debug information with tables of addresses (clang's
// .debug_addr).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "objdiff/object/object.h"
#include "objdiff/update/update_object.h"

namespace ksplice {

// Folders of the build and what they are to be called; of several that fit, the longest counts.
using PathNames = std::vector<std::pair<std::string, std::string>>;

// path, absolute, by its new name.
std::string renamed_path(const std::string& path, const PathNames& names);

struct DebugFile {
  std::vector<uint8_t> file;
  // The files that the module's code was compiled from: as they were, and by their new names.
  std::vector<std::pair<std::string, std::string>> sources;
};

// module: as kbuild linked it. posts: the objects that update's ranges are of. Throws
// Error("no_debug_info").
DebugFile make_debug_file(const Object& module, const UpdateObject& update,
                          const std::vector<const Object*>& posts, const PathNames& names);

}  // namespace ksplice
