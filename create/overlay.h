// A private kernel tree in which kbuild works, over a source directory that is never written.
//
// The tree has real folders and one symbolic link per file of the source; files that the patch
// changes stand in it as real copies. kbuild's output folder is obj inside the tree, so every path
// that kbuild uses is relative ("../net/ipv4/tcp.c") and strange characters in the user's path
// never reach make. obj is prepared once (olddefconfig, modules_prepare) and kept as a template;
// each create starts from a copy of it.
//
//   CACHE/trees/KEY/slot-N/lock       held (flock) as long as a create, or a child of it, lives
//                         /S          link to the source
//                         /tree/      links such as tree/mm/slab.c -> ../../S/mm/slab.c
//                         /tree/obj/  output folder
//                         /template/  obj as it was after the preparation; appears by rename
//                         /work/      numbered folders of the stages
//                         /includes   what each source file includes (include_cache.h)
//
// A killed create leaves a slot in any state. The next one that gets it brings tree in line with
// the source again, makes obj from template, and empties work: nothing else is trusted.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "objdiff/base/file.h"

namespace ksplice {

// source, resolved. Throws Error("bad_source") if it is not a kernel's.
std::filesystem::path kernel_source(const std::filesystem::path& source);

// cache, made if need be, resolved. Throws Error("bad_cache") if kbuild cannot work below it.
std::filesystem::path usable_cache(const std::filesystem::path& cache);

class Overlay {
 public:
  // Takes a free slot for key and makes its tree mirror source. Throws Error("bad_source") if
  // source is not a kernel's, and Error("bad_cache") if nothing can be done below cache.
  Overlay(const std::filesystem::path& cache, const std::filesystem::path& source,
          const std::string& key);

  const std::filesystem::path& source() const { return source_; }
  std::filesystem::path tree() const { return slot_ / "tree"; }
  std::filesystem::path obj() const { return slot_ / "tree/obj"; }
  // The folder of a stage, made on first use: "2-pre".
  std::filesystem::path work(const std::string& stage) const;
  std::filesystem::path work() const { return slot_ / "work"; }
  std::filesystem::path includes() const { return slot_ / "includes"; }
  std::filesystem::path template_folder() const { return slot_ / "template"; }

  // Hash over path, size and time of every file that the preparation may read.
  const std::string& signature() const { return signature_; }
  // Folders beside the source that links in it lead to, without links themselves.
  const std::vector<std::filesystem::path>& outside() const { return outside_; }
  // Files of the source that the tree has, relative, sorted.
  const std::vector<std::string>& files() const { return files_; }

  // Fills obj from the template if it was made for key; otherwise makes obj empty, returns false.
  bool restore_template(const std::string& key);
  // Makes obj empty and forgets the template.
  void drop_template();
  // Keeps obj as the template for key.
  void save_template(const std::string& key);

  // Puts content in the place of path, or takes the file away. For undoing, see restore.
  void replace(const std::string& path, const std::filesystem::path& content);
  void remove(const std::string& path);
  // The link to the source again.
  void restore(const std::string& path);

 private:
  void sync();

  std::filesystem::path source_, slot_;
  Fd lock_;
  std::string signature_;
  std::vector<std::string> files_;
  std::vector<std::filesystem::path> outside_;
};

// A file name for a path that make can build, and another one for each: "mm:slab.o".
std::string flat_name(const std::filesystem::path& path);

// 64-bit FNV-1a as 16 hex digits: names for things in the cache.
std::string hash_text(std::string_view text);

// Copies a folder with its links and file times. to must not exist.
void copy_tree(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace ksplice
