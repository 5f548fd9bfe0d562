// Which programs reach a function, and from where in them.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "apply/trace/session.h"
#include "apply/trace/user_symbols.h"

namespace ksplice {

// Processes of one program that came from one place.
struct ReachRow {
  std::string program;              // its file; of one that went away too soon, and of a thread of
                                    // the kernel, the name that it had
  std::vector<std::string> frames;  // innermost first
  std::set<uint32_t> pids, gone;    // gone: those of them that are not there any more
  bool is_thread = false;           // of the kernel
  bool is_unread = false;           // went away before it could be read where it has what
  bool is_interrupt = false;        // the program was only interrupted
  uint64_t calls = 0, new_calls = 0;
};

// The most frequent first.
std::vector<ReachRow> reach_rows(const TraceData& data, const SymbolTable& kernel,
                                 UserSymbols& users);

}  // namespace ksplice
