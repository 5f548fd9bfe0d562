// Makes an update's modules as kbuild made those of an earlier update, without kbuild.
//
// Before it makes a module, kbuild asks the compiler some thirty questions and reads its makefiles.
// The commands that it then runs are the same for every module that is linked of update.c and an
// update object, but for the folder and the module's name. So they are kept beside the core that
// they belong to, once they were seen to make, byte for byte, what kbuild has just made. They are
// for updates that leave makefiles and the configuration alone (keeps_commands, recompile.h) and
// need no other table of exports. Where one of them fails, all is left to kbuild: its words are the
// ones that people know.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "create/kbuild.h"

namespace ksplice {

struct ModuleSteps {
  bool in_folder = false;            // they are run there, as since 6.13, and not in obj
  std::vector<std::string> shared;   // before all, once
  std::vector<std::string> objects;  // of each module: up to what modpost reads
  std::string order;                 // the line of modules.order for each
  std::string modpost;               // once
  std::vector<std::string> link;     // of each module

  bool operator==(const ModuleSteps&) const = default;
};

// Reads what kbuild recorded in folder for module, which it made there. Nothing if that is not as
// expected.
std::optional<ModuleSteps> record_module_steps(const Kbuild& kbuild,
                                               const std::filesystem::path& folder,
                                               const std::string& module);

// Makes modules in folder, which holds NAME-init.c and NAME-update.o of each. Returns what the
// commands said; nothing if not all modules are there: the folder may then hold a part of them.
std::optional<std::string> run_module_steps(const Kbuild& kbuild, const ModuleSteps& steps,
                                            const std::filesystem::path& folder,
                                            const std::vector<std::string>& modules);

// As text to keep; nothing from a text that is not whole or of another version.
std::string write_module_steps(const ModuleSteps& steps);
std::optional<ModuleSteps> parse_module_steps(const std::string& text);

}  // namespace ksplice
