// The source patch: reading it, and applying it to copies of the files that it names.
//
// The user's tree is only read. Every file that the patch names is copied into a staging folder,
// patch(1) runs there, and what differs afterwards is the change. File names are parsed here first
// and refused when they are absolute or hold "..", so patch(1) is never led out of the folder.
#pragma once

#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "create/source_files.h"

namespace ksplice {

struct Hunk {
  std::string range;               // "@@ -7,6 +7,8 @@", as it stands in the patch
  size_t first = 0;                // of the old file's lines
  std::vector<std::string> lines;  // with their ' ', '-' or '+', without ends
};

// One file section of a diff. Paths are below the source directory, leading components stripped;
// empty for /dev/null.
struct PatchFile {
  std::string old_path, new_path;
  std::string given;  // the old name as it stands in the patch
  bool rename = false, copy = false;
  std::vector<Hunk> hunks;
};

struct Patch {
  std::string name;      // for messages
  std::string label;     // a short one, in lists: "0002-fix.patch"
  std::string diff;      // the sections alone, without a mail's text: what patch(1) gets
  std::string encoding;  // of a mail whose text is not as it was written: "quoted-printable"
  std::string subject;   // of a mail or git patch, without [PATCH ...]; empty if none
  std::vector<PatchFile> files;
};

// The patches of a series that git format-patch wrote into one text, each with its mail's head; one
// text otherwise.
std::vector<std::string> split_series(const std::string& text);

// Parses unified diffs, plain and git's. strip is the N of -pN. name is used in messages. Throws
// Error("bad_patch") for text without any diff, binary diffs, context diffs, links, and unsafe
// names.
Patch parse_patch(const std::string& text, unsigned strip, const std::string& name);

// What to do about a patch with an encoding.
std::string decode_hint(const Patch& patch);

// The N of the last -pN or --strip=N among options of patch(1); 1 if there is none.
unsigned strip_of(const std::vector<std::string>& patch_options);

enum class ChangeKind { Modified, Added, Deleted, Renamed };

struct FileChange {
  ChangeKind kind = ChangeKind::Modified;
  std::string path;               // after the change (before it, for Deleted)
  std::string old_path;           // before the change; empty for Added
  std::filesystem::path content;  // the new content; empty for Deleted
};

// The paths, before the change, of what was there.
std::set<std::string> paths_before(const std::vector<FileChange>& changes);

struct AppliedPatch {
  std::vector<FileChange> changes;      // sorted by path; only files whose bytes changed
  std::vector<std::string> notes;       // e.g. hunks that needed fuzz
  std::shared_ptr<SourceFiles> source;  // that it was applied to
};

// Applies patches one after the other to copies in staging (an existing empty folder). Throws
// Error("patch_failed") with the words of patch(1) if a hunk does not fit, and
// Error("already_in_source") if it is there already.
AppliedPatch apply_patches(const std::vector<Patch>& patches,
                           const std::vector<std::string>& patch_options,
                           const std::filesystem::path& source,
                           const std::filesystem::path& staging);

// Makes the text of a patch from the files X.EXT that stand beside X in source.
std::string diff_of_extension(const std::filesystem::path& source, const std::string& extension);

// The text of the change from HEAD to commit in the git tree at source, with the commits' subjects
// above it; with series, the commits' own patches instead of one diff.
std::string diff_of_commit(const std::filesystem::path& source, const std::string& commit,
                           bool series);

}  // namespace ksplice
