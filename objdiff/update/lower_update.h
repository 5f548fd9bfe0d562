// Updates on top of updates: adds the update module of an applied update to the run image of its
// target, so that matching sees the code that really runs. The head of lower_update.cc has the
// method.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "objdiff/image/run_image.h"
#include "objdiff/update/update_object.h"

namespace ksplice {

// What a tarball says about one target.
struct LowerUpdate {
  std::string id;           // of the update
  std::string module;       // name of its update module for the target
  std::vector<uint8_t> ko;  // as in the tarball, not finalized
  Finalization finalization;
  std::vector<std::string> uses = {};  // modules of the same update, of other targets
};

// Adds it to image. The updates that it stands on must have been added
// before. Throws Error("needs_update") if one was not, and Error("bad_file") if the module is
// damaged.
void add_lower_update(RunImage& image, const LowerUpdate& lower);

}  // namespace ksplice
