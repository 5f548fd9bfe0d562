#include "apply/abort_codes.h"

#include <map>

namespace ksplice {

namespace {

const std::map<std::string, AbortCode>& apply_codes() {
  static const std::map<std::string, AbortCode> codes = {
      {"ok",
       {"aborted for an unknown reason", "look at the kernel log (dmesg), and report this as a bug",
        false}},
      {"no_match",
       {"the running code is not the code that the update was made for",
        "create the update from the exact source, configuration and compiler of the running "
        "kernel; "
        "if another tool patched the function, undo that first"}},
      {"code_busy",
       {"a function to be replaced was on a task's stack at every attempt",
        "try again, with more --attempts or a longer --timeout; or stop what is named above"}},
      {"module_busy",
       {"a module that the update needs is coming or going", "try again in a moment"}},
      {"out_of_memory", {"the kernel ran out of memory", "free some memory and try again", false}},
      {"no_ftrace_site",
       {"a function to be replaced has no ftrace site and cannot have a jump here",
        "take away what is named above if it is yours (--no-settle, a probe); otherwise put the "
        "new "
        "code into a function of another name, and patch the callers to call that"}},
      {"already_reversed",
       {"the update was applied and reversed before, and its modules are still loaded",
        "run ksplice-undo for it, then apply it again"}},
      {"unexpected_running_task",
       {"the stack of a running task could not be judged", "try again; report this as a bug",
        false}},
      {"unexpected",
       {"internal error", "look at the kernel log (dmesg), and report this as a bug", false}},
      {"target_not_loaded",
       {"a module that the update patches is not loaded",
        "load it first, or use --partial to patch what is loaded"}},
      {"call_failed",
       {"a hook of the update refused",
        "the update's author decided that it must not be applied now; the kernel log may say why"}},
      {"conflict",
       {"somebody else has changed what the update was made for",
        "take away what is named above (a livepatch, a kprobe or a BPF program), then try again; "
        "if "
        "it is an update, create this one with --on-top-of and that update's tarball"}},
      {"ftrace_off",
       {"the function tracer is switched off",
        "switch it on: sysctl kernel.ftrace_enabled=1; if it has shut itself down, only a reboot "
        "brings it back"}},
      {"interrupted", {"interrupted by a signal", "run it again", false}},
  };
  return codes;
}

// What differs when taking back.
const std::map<std::string, AbortCode>& undo_codes() {
  static const std::map<std::string, AbortCode> codes = {
      {"code_busy",
       {"a function of the update was on a task's stack at every attempt",
        "try again, with more --attempts or a longer --timeout; or stop what is named above"}},
      {"module_busy",
       {"another update or module needs this update",
        "undo first what is named above, or end the tracing of the update's own functions"}},
      {"call_failed",
       {"a hook of the update refused",
        "the update's author decided that it must not be undone now; the kernel log may say why"}},
      {"conflict",
       {"somebody else is where the update redirects a function",
        "take away what is named above (a kprobe), then try again"}},
      {"cold_update_loaded",
       {"a module was loaded with the patch in it, and would keep it", "unload that module first"}},
  };
  return codes;
}

}  // namespace

AbortCode explain_abort(const std::string& code, Action action) {
  if (action == Action::Undo) {
    auto found = undo_codes().find(code);
    if (found != undo_codes().end()) return found->second;
  }
  auto found = apply_codes().find(code);
  if (found != apply_codes().end()) return found->second;
  return {"the kernel gave the reason \"" + code + "\", which this version does not know",
          "use the ksplice tools that belong to the tarball", false};
}

Error not_permitted() {
  return Error("not_permitted", "only root can change the running kernel", "run it as root");
}

Error unknown_update(const std::string& id) {
  return Error("unknown_update", "there is no update " + id + " in the kernel",
               "ksplice-view lists the updates that are there");
}

}  // namespace ksplice
