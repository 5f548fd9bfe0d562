// What the files of a kernel say of each other, before anything is compiled: image, configuration,
// System.map, source and tools may be of different kernels.
#pragma once

#include <filesystem>

#include "create/config_dir.h"
#include "create/kbuild.h"
#include "create/progress.h"
#include "objdiff/image/run_image.h"

namespace ksplice {

// Throws Error("wrong_source"), or says so if skip. New code may be the first to use a macro or an
// inline function of a header: nothing of it is in the code that runs, nor in its types.
void check_version(const RunImage& image, const std::filesystem::path& source, bool skip,
                   Progress& progress);

// Throws Error("wrong_toolchain"), or says so if skip: by the image's banner, and by kbuild's own
// configuration. kbuild gives up options that a tool cannot serve, or that the source does not
// have, without a word.
void check_configuration(const KernelConfig& kernel, const RunImage& image, const Kbuild& kbuild,
                         bool skip, Progress& progress);

// Throws Error("bad_system_map") if the configuration directory has one of another kernel.
void check_map(const KernelConfig& kernel, const RunImage& image, Progress& progress);

}  // namespace ksplice
