// From one release of a kernel to a later one: what of it can be live, as one update, and what
// becomes of the rest.
//
// In: the source that runs, the later one. Out: a report with a line for each part, and a tarball.
// Each part is tried by itself (trial.h); then one update is made of all that can be live, proven
// anew as a whole. Never: a part that is not in the report.
#pragma once

#include "create/options.h"
#include "create/progress.h"
#include "create/release/report.h"

namespace ksplice {

// Writes ksplice-ID-report.txt, .json and .html beside the tarball. Throws the error of the whole
// update if none can be made of parts that are live by themselves, after the report is written.
ReleaseReport make_release(const Options& options, Progress& progress);

std::filesystem::path report_path(const Options& options, const ReleaseReport& report,
                                  const std::string& end);

// Whether path is one of within, or in a folder of these; true if there are none.
bool is_within(const std::string& path, const std::vector<std::string>& within);

}  // namespace ksplice
