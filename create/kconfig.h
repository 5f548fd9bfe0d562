// What the Kconfig files of a patch would make of the configuration.
//
// In: a prepared tree and the patch's changes. Out: a refusal if options would be set otherwise
// than in the running kernel. Never: another configuration. Code that asks for a new option would
// be left out in silence, as the running kernel does not have it.
#pragma once

#include <string>
#include <vector>

#include "create/kbuild.h"
#include "create/overlay.h"
#include "create/patch.h"

namespace ksplice {

bool is_kconfig(const std::string& path);

// Options ("CONFIG_A=y", or "CONFIG_A" for one that is gone or not set any more) that after has and
// before has not, or has otherwise. Both are texts of a .config.
std::vector<std::string> changed_options(const std::string& before, const std::string& after);

// Has kconfig make the configuration anew with the patch's Kconfig files, beside the one that
// counts, and throws Refused (unsupported_file) where the two differ. Nothing is run if there are
// no such files. The overlay is left as it was.
void check_options(Overlay& overlay, const Kbuild& kbuild, const std::vector<FileChange>& changes);

}  // namespace ksplice
