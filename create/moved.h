// The original source with the line numbers of the patched one (DESIGN D3): compiled, it differs
// from the patched source's object in what the patch changes and in nothing else.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "create/patch.h"

namespace ksplice {

struct MovedFile {
  std::string path;               // of the original
  std::filesystem::path content;  // its text with #line directives
  std::vector<size_t> numbers;    // of its lines, from the first on; 0 where any will do
};

// The text of before, with #line directives that give each line the number that it has in after.
// name, if not empty, becomes its __FILE__. Equal to before's text if no line moves, and if either
// file numbers its lines itself.
// numbers, if not null, gets those numbers, from the first line on; 0 where any will do.
std::string moved_text(const std::filesystem::path& before, const std::filesystem::path& after,
                       const std::string& name = "", std::vector<size_t>* numbers = nullptr);

// One for each file of source whose lines changes move, written below folder. root is what the
// compiler's names of files begin with: "../".
std::vector<MovedFile> make_moved(const std::vector<FileChange>& changes,
                                  const std::filesystem::path& source,
                                  const std::filesystem::path& folder, const std::string& root);

}  // namespace ksplice
