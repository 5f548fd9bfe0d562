#include "create/release/files.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/base/process.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

// What a build, or version control, has beside the source.
bool is_product(const fs::path& path) {
  const std::string name = path.filename();
  return name.starts_with(".git") || name.ends_with(".o") || name.ends_with(".ko") ||
         name.ends_with(".cmd") || name.ends_with(".orig") || name.ends_with(".rej");
}

bool is_same(const fs::path& before, const fs::path& after) {
  return fs::equivalent(before, after) ||
         (fs::file_size(before) == fs::file_size(after) && read_file(before) == read_file(after));
}

// Fills in the patch, or why there is none.
void take_difference(ReleaseFile& file, const fs::path& before, const fs::path& after) {
  const bool is_added = file.kind == ChangeKind::Added, is_gone = file.kind == ChangeKind::Deleted;
  const std::string old_name = is_added ? "/dev/null" : "a/" + file.path;
  const std::string new_name = is_gone ? "/dev/null" : "b/" + file.path;
  CommandOptions options;
  options.env = {{"LC_ALL", "C"}};
  const CommandResult run = run_command({"diff", "-up", "--label", old_name, "--label", new_name,
                                         is_added ? "/dev/null" : (before / file.path).string(),
                                         is_gone ? "/dev/null" : (after / file.path).string()},
                                        options);
  if (run.status != 1 || !run.output.starts_with("--- ")) {
    file.why = run.output.empty() ? "is empty" : "is not a text";
    return;
  }
  try {
    file.patch = parse_patch(run.output, 1, file.path);
    file.diff = run.output;
  } catch (const Error& error) {
    if (error.code != "bad_patch") throw;
    file.why = error.what();
  }
}

}  // namespace

FileChange ReleaseFile::change(const fs::path& after) const {
  FileChange change;
  change.kind = kind;
  change.path = path;
  if (kind != ChangeKind::Added) change.old_path = path;
  if (kind != ChangeKind::Deleted) change.content = after / path;
  return change;
}

namespace {

class Comparison {
 public:
  Comparison(const fs::path& before, const fs::path& after, Progress& progress)
      : before_(before), after_(after), progress_(progress) {}

  std::vector<ReleaseFile> run() {
    folder("");
    std::sort(files_.begin(), files_.end(),
              [](const ReleaseFile& a, const ReleaseFile& b) { return a.path < b.path; });
    return std::move(files_);
  }

 private:
  void list(const fs::path& folder, std::set<std::string>& names) const {
    if (!fs::is_directory(folder)) return;
    for (const auto& entry : fs::directory_iterator(folder))
      if (!is_product(entry.path())) names.insert(entry.path().filename());
  }

  void folder(const fs::path& path) {
    std::set<std::string> names;
    list(before_ / path, names);
    list(after_ / path, names);
    for (const std::string& name : names) entry(path / name);
  }

  void entry(const fs::path& path) {
    const fs::path old_path = before_ / path, new_path = after_ / path;
    if (fs::is_directory(old_path) || fs::is_directory(new_path)) {
      // The same folder under both names; and links beside a source's own folders show these twice.
      if (fs::is_directory(old_path) && fs::is_directory(new_path) &&
          fs::equivalent(old_path, new_path))
        return;
      if (fs::is_symlink(old_path) && fs::is_symlink(new_path)) return;
      folder(path);
    }
    const bool was = fs::is_regular_file(old_path), is = fs::is_regular_file(new_path);
    if (was && is && is_same(old_path, new_path)) return;
    if (!was && !is) return;
    ReleaseFile& file = files_.emplace_back();
    file.path = path.string();
    file.kind = !was ? ChangeKind::Added : !is ? ChangeKind::Deleted : ChangeKind::Modified;
    take_difference(file, before_, after_);
    progress_.make_output("");
    check_interrupted();
  }

  const fs::path &before_, &after_;
  Progress& progress_;
  std::vector<ReleaseFile> files_;
};

}  // namespace

std::vector<ReleaseFile> compare_releases(const fs::path& before, const fs::path& after,
                                          Progress& progress) {
  return Comparison(before, after, progress).run();
}

}  // namespace ksplice
