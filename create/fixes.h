// What a patch says that it fixes: CVE ids and upstream commits.
//
// A patch is taken at its word, so only words that claim something count: the subject, a line that
// is an id and nothing else, and the fields of a head or a footer that are for it ("CVE:", "Bug:",
// "Fixes: CVE-..."). An id in running text may be there for comparison ("unlike CVE-2020-1"): it is
// only mentioned, and its user is told of --cve. A commit counts where it is called upstream's:
// "commit ID upstream.", "[ Upstream commit ID ]", "(cherry picked from commit ID)", and an Origin
// or Link to git.kernel.org/linus/ID. What stands in the diff itself is code.
#pragma once

#include <string>
#include <vector>

namespace ksplice {

struct Fixes {
  std::vector<std::string> cves, commits;  // sorted, each once
  std::vector<std::string> mentioned;      // CVE ids that are in the text, and not claimed
};

// texts: of patches, each with its head.
Fixes find_fixes(const std::vector<std::string>& texts);

}  // namespace ksplice
