#include "create/swap.h"

#include "create/affected.h"
#include "create/update_module.h"

namespace ksplice {

std::vector<FileChange> seen_by_kbuild(const std::vector<FileChange>& changes) {
  std::vector<FileChange> seen;
  for (const FileChange& change : changes) {
    FileKind kind = classify_file(change.path).kind;
    if (kind != FileKind::Ignored && kind != FileKind::Refused) seen.push_back(change);
  }
  return seen;
}

void swap_in(Overlay& overlay, const std::vector<FileChange>& changes) {
  overlay.replace("include/ksplice-patch.h", core_source_folder() / "ksplice-patch.h");
  for (const FileChange& change : seen_by_kbuild(changes)) {
    if (change.kind == ChangeKind::Deleted)
      overlay.remove(change.path);
    else
      overlay.replace(change.path, change.content);
  }
}

void swap_out(Overlay& overlay, const std::vector<FileChange>& changes) {
  for (const FileChange& change : seen_by_kbuild(changes)) overlay.restore(change.path);
}

}  // namespace ksplice
