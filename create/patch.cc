#include "create/patch.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>
#include <sstream>

#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/base/process.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

// Copies the file below source into staging unless it is there already, or was touched before.
void stage(const fs::path& source, const fs::path& staging, const std::string& path,
           std::set<std::string>& staged) {
  if (path.empty() || !staged.insert(path).second) return;
  fs::path from = source / path;
  if (!fs::is_regular_file(from)) return;
  fs::create_directories((staging / path).parent_path());
  fs::copy_file(from, staging / path);
  fs::permissions(staging / path, fs::perms::owner_read | fs::perms::owner_write,
                  fs::perm_options::add);
}

bool same_content(const fs::path& a, const fs::path& b) { return read_file(a) == read_file(b); }

CommandResult run_patch(const Patch& patch, const std::vector<std::string>& how,
                        const std::vector<std::string>& patch_options, const fs::path& folder) {
  // Without fuzz: a hunk whose context differs is a hunk for another source.
  std::vector<std::string> argv = {"patch", "--batch", "--unified", "--fuzz=0", "-p1"};
  argv.insert(argv.end(), how.begin(), how.end());
  argv.insert(argv.end(), patch_options.begin(), patch_options.end());
  CommandOptions options;
  options.directory = folder;
  options.input = patch.diff;
  options.env = {{"LC_ALL", "C"}, {"POSIXLY_CORRECT", ""}, {"PATCH_GET", ""}};
  return run_command(argv, options);
}

// Copies what the patch names into staging.
void stage_files(const Patch& patch, const fs::path& source, const fs::path& staging,
                 std::set<std::string>& staged) {
  for (const PatchFile& file : patch.files) {
    stage(source, staging, file.old_path, staged);
    stage(source, staging, file.new_path, staged);
  }
}

// Would patches[index] come off again from what those before it make of the source.
bool is_there_already(const std::vector<Patch>& patches, size_t index,
                      const std::vector<std::string>& patch_options, const fs::path& source) {
  TempDir folder;
  std::set<std::string> staged;
  for (size_t i = 0; i < index; ++i) {
    stage_files(patches[i], source, folder.path(), staged);
    run_patch(patches[i], {"--forward"}, patch_options, folder.path());
  }
  stage_files(patches[index], source, folder.path(), staged);
  return run_patch(patches[index], {"--reverse", "--force", "--dry-run"}, patch_options,
                   folder.path())
             .status == 0;
}

// The hunks that patch(1) says have failed, or have nowhere to go.
std::vector<Origin> failed_hunks(const Patch& patch, const std::string& output) {
  std::vector<Origin> origins;
  const PatchFile* file = nullptr;
  std::istringstream stream(output);
  for (std::string line; std::getline(stream, line);) {
    constexpr std::string_view File = "patching file ", HunkNumber = "Hunk #";
    if (line.starts_with(File)) {
      std::string path = line.substr(File.size());
      if (path.size() > 1 && path.front() == '\'') path = path.substr(1, path.size() - 2);
      file = nullptr;
      for (const PatchFile& each : patch.files)
        if (each.new_path == path || each.old_path == path) file = &each;
    } else if (line.starts_with(HunkNumber) && line.find("FAILED") != line.npos &&
               file != nullptr) {
      const size_t number = std::strtoul(line.c_str() + HunkNumber.size(), nullptr, 10);
      if (number > 0 && number <= file->hunks.size())
        origins.push_back({patch.label, file->new_path.empty() ? file->old_path : file->new_path,
                           file->hunks[number - 1].range});
    }
  }
  if (origins.empty()) origins.push_back({patch.label, "", ""});
  return origins;
}

[[noreturn]] void throw_from(Error error, std::vector<Origin> origins) {
  error.origins = std::move(origins);
  throw error;
}

[[noreturn]] void throw_failed(const std::vector<Patch>& patches, size_t index,
                               const std::vector<std::string>& patch_options,
                               const fs::path& source, const std::string& output) {
  const Patch& patch = patches[index];
  if (is_there_already(patches, index, patch_options, source))
    throw_from(Error("already_in_source",
                     fmt::format("{} is already in the source {}{}", patch.name, source.string(),
                                 index > 0 ? ", with the patches before it" : ""),
                     "if the running kernel was built from this source it has the change; "
                     "otherwise give the source that it was built from"),
               {{patch.label, "", ""}});
  std::string hint = patch.encoding.empty()
                         ? "is this the source of the running kernel, and was the patch made for "
                           "it? --patch-opt=--fuzz=2 lets hunks apply whose context differs"
                         : decode_hint(patch);
  throw_from(Error("patch_failed",
                   fmt::format("{} does not apply to {}:\n{}", patch.name, source.string(),
                               output.substr(0, output.find_last_not_of('\n') + 1)),
                   hint),
             failed_hunks(patch, output));
}

// The patch names a file that is not there. Says with which -pN it would be.
[[noreturn]] void throw_no_file(const Patch& patch, const PatchFile& file, const fs::path& source) {
  std::string hint = "is this the source that the patch was made for?";
  std::string path = file.given;
  for (unsigned levels = 0; !path.empty(); ++levels) {
    bool inside = path.front() != '/' && path.find("..") == path.npos;
    if (inside && fs::is_regular_file(source / path))
      hint = fmt::format("with --patch-opt=-p{} it names {}, which is there", levels, path);
    size_t slash = path.find('/');
    path = slash == path.npos ? "" : path.substr(slash + 1);
  }
  throw_from(Error("patch_failed",
                   fmt::format("{} changes {}, which is not in {}", patch.name, file.old_path,
                               source.string()),
                   hint),
             {{patch.label, file.old_path, ""}});
}

// What became of path: nothing if its bytes are as they were.
std::optional<FileChange> find_change(const fs::path& source, const fs::path& staging,
                                      const std::string& path) {
  bool before = fs::is_regular_file(source / path), after = fs::is_regular_file(staging / path);
  if (before && after && same_content(source / path, staging / path)) return std::nullopt;
  if (!before && !after) return std::nullopt;
  FileChange change;
  change.path = path;
  change.kind = !after ? ChangeKind::Deleted : !before ? ChangeKind::Added : ChangeKind::Modified;
  if (before) change.old_path = path;
  if (after) change.content = staging / path;
  return change;
}

}  // namespace

std::set<std::string> paths_before(const std::vector<FileChange>& changes) {
  std::set<std::string> paths;
  for (const FileChange& change : changes)
    if (!change.old_path.empty()) paths.insert(change.old_path);
  return paths;
}

AppliedPatch apply_patches(const std::vector<Patch>& patches,
                           const std::vector<std::string>& patch_options, const fs::path& source,
                           const fs::path& staging) {
  AppliedPatch result;
  result.source = std::make_shared<SourceFiles>(source);
  std::set<std::string> staged;
  std::map<std::string, std::string> renamed;  // new -> old
  for (size_t index = 0; index < patches.size(); ++index) {
    const Patch& patch = patches[index];
    stage_files(patch, source, staging, staged);
    for (const PatchFile& file : patch.files) {
      if (!file.rename) continue;
      auto before = renamed.find(file.old_path);
      renamed[file.new_path] = before != renamed.end() ? before->second : file.old_path;
    }
    // A section may be about a file that an earlier section makes: only the first can be judged.
    const PatchFile& first = patch.files.front();
    bool known = first.old_path.empty() || fs::exists(staging / first.old_path) ||
                 fs::exists(staging / first.new_path);
    CommandResult run = run_patch(
        patch, {"--forward", "--no-backup-if-mismatch", "--reject-file=-"}, patch_options, staging);
    if (run.status != 0 && !known) throw_no_file(patch, first, source);
    if (run.status != 0) throw_failed(patches, index, patch_options, source, run.output);
    std::istringstream output(run.output);
    std::string file;
    for (std::string line; std::getline(output, line);) {
      if (line.starts_with("patching file ")) file = line.substr(14);
      // Of two places that look alike it may be the other one.
      if (line.find(" with fuzz ") != line.npos || line.find("(offset ") != line.npos)
        result.notes.push_back(fmt::format("patch: {}: {}", file, line));
    }
  }
  for (const std::string& path : staged) {
    std::optional<FileChange> change = find_change(source, staging, path);
    if (!change) continue;
    auto from = renamed.find(path);
    if (change->kind == ChangeKind::Added && from != renamed.end()) {
      change->kind = ChangeKind::Renamed;
      change->old_path = from->second;
    }
    result.changes.push_back(*change);
  }
  return result;
}

}  // namespace ksplice
