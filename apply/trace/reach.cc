#include "apply/trace/reach.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <tuple>

namespace ksplice {

namespace {

std::string name_of(const TraceData& data, uint32_t pid) {
  auto found = data.processes.find(pid);
  if (found == data.processes.end()) return "?";
  return {found->second.name, ::strnlen(found->second.name, TRACE_NAME)};
}

// A call from an interrupt is no deed of the process that it met. An exception is one, as that
// process met it: a page fault, for instance.
bool is_interrupt(const std::vector<uint64_t>& frames, const SymbolTable& kernel) {
  return std::any_of(frames.begin(), frames.end(), [&](uint64_t addr) {
    const Kallsym* symbol = kernel.at(addr);
    return symbol != nullptr && (symbol->name.starts_with("asm_sysvec_") ||
                                 symbol->name.starts_with("asm_common_interrupt") ||
                                 symbol->name.starts_with("asm_exc_nmi"));
  });
}

}  // namespace

std::vector<ReachRow> reach_rows(const TraceData& data, const SymbolTable& kernel,
                                 UserSymbols& users) {
  for (const TraceUser& user : data.users) users.note(user.pid);  // what became of it
  std::map<std::tuple<std::string, std::vector<std::string>, bool, bool>, ReachRow> rows;
  for (const TraceUser& user : data.users) {
    ReachRow row;
    row.is_thread = user.frames.empty();
    row.is_interrupt = is_interrupt(user.kernel, kernel);
    row.program = users.program(user.pid);
    row.is_unread = !row.is_thread && row.program.empty();
    if (row.program.empty()) row.program = name_of(data, user.pid);
    // Numbers say nothing where nobody knows what was there, and every process has others. Where a
    // function keeps something else in the register of frame pointers, the rest is no code.
    if (!row.is_unread)
      for (uint64_t frame : user.frames) {
        if (!row.frames.empty() && !users.is_code(user.pid, frame)) break;
        row.frames.push_back(users.text(user.pid, frame));
      }
    ReachRow& same =
        rows.try_emplace({row.program, row.frames, row.is_thread, row.is_interrupt}, row)
            .first->second;
    same.pids.insert(user.pid);
    if (users.is_gone(user.pid)) same.gone.insert(user.pid);
    same.calls += user.calls;
    same.new_calls += user.new_calls;
  }
  std::vector<ReachRow> list;
  for (auto& [key, row] : rows) list.push_back(std::move(row));
  std::stable_sort(list.begin(), list.end(),
                   [](const ReachRow& a, const ReachRow& b) { return a.calls > b.calls; });
  return list;
}

}  // namespace ksplice
