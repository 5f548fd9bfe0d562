// SOURCE as the distribution's tarball.
#pragma once

#include <filesystem>

#include "create/progress.h"

namespace ksplice {

// The folder below cache that tarball is unpacked in; unpacks it if it is not there yet. Two at
// once wait for each other. Throws Error("bad_source") if it is not the tarball of a kernel.
std::filesystem::path unpack_source(const std::filesystem::path& cache,
                                    const std::filesystem::path& tarball, Progress& progress);

}  // namespace ksplice
