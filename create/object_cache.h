// Objects of units, as the source is and as a patch makes it, kept from one create to the next.
//
//   CACHE/pre/KEY/unit.json    what the object was made from, by content, and its digest
//                /object.o
//
// Other creates read and replace the same entries meanwhile, of other sources, too. So an object
// counts only if its own bytes are those that its description names, and a file of the source only
// by its bytes: size and time are the same for two trees that were unpacked from packages of one
// day.
#pragma once

#include <filesystem>
#include <string>

#include "create/kbuild.h"
#include "create/source_files.h"

namespace ksplice {

// Whether a file below obj is made by the build of the unit that reads it, and not by the
// preparation.
bool is_made_by_unit(const std::string& generated);

class ObjectCache {
 public:
  // folder is the user's cache; key is what objects depend on beside their sources (build_key).
  ObjectCache(std::filesystem::path folder, std::string key, SourceFiles& files);

  // The unit as it was compiled before, if all that it was made from is unchanged; its object is
  // then at kept, which must be on the cache's file system for that to be fast. Else false.
  bool load(const std::string& unit, const std::filesystem::path& kept, BuiltUnit& built);
  // Keeps a unit that was just compiled from the original source.
  void store(const BuiltUnit& built);

 private:
  std::filesystem::path entry_of(const std::string& unit) const;

  std::filesystem::path folder_;
  std::string key_;
  SourceFiles& files_;
};

}  // namespace ksplice
