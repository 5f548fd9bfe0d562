// Which hunk of which patch every line of the patched source comes from, and on which lines each
// hunk stands.
//
// patch(1) makes the files that are compiled; it tells neither. So the hunks are put into the lines
// of the source here once more, and each line keeps a name: its number in the source, or in the
// hunk that brings it. Two patches of a series are about the same lines exactly if these names say
// so, wherever the lines have moved to meanwhile.
//
// In: the patches, and the source's text. Out: names. Never a file: where the result is not what
// patch(1) made (an option such as --fuzz), the answer is that nothing is known.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "create/patch.h"

namespace ksplice {

// A line by where it comes from: hunk >= 0 is an index into Weave::hunks, below 0 it is a file of
// the source. number counts from 1.
struct LineName {
  int hunk = -1;
  size_t number = 0;
  auto operator<=>(const LineName&) const = default;
};

struct WovenLine {
  std::string text;
  LineName name;
  std::vector<int> taken_before;  // hunks that took away what stood directly in front of it
};

// A definition at the top level that a hunk changes.
struct WovenBlock {
  std::string name;  // "tcp_v4_rcv()" of a function, otherwise its first line
  bool is_function = false;
  std::set<LineName> lines;
};

struct WovenHunk {
  size_t patch = 0;  // index
  std::string file;  // after the patch, or before it if that takes the file away
  const Hunk* hunk = nullptr;
  bool placed = false;              // false: its old lines are not there
  std::vector<LineName> stands_on;  // its old lines: context and what it takes away
  std::vector<WovenBlock> blocks;   // before and after it
};

struct Weave {
  std::vector<WovenHunk> hunks;  // of all patches, those of the left out ones unplaced
  // By path, with an empty line at the end for what was taken away there.
  std::map<std::string, std::vector<WovenLine>> files;

  bool all_placed(size_t patch) const;
};

// The text of a file of the source, or nothing if there is none.
using SourceReader = std::function<std::optional<std::string>(const std::string& path)>;

// Puts the hunks of patches, without those of left_out, into the source. Indices of hunks do not
// depend on what is left out.
Weave weave(const std::vector<Patch>& patches, const std::set<size_t>& left_out,
            const SourceReader& read);

// The definition around lines[at], [first, last]; nothing if there is none.
std::optional<std::pair<size_t, size_t>> find_block(const std::vector<WovenLine>& lines, size_t at);

// What the definition that begins with this line defines: "tcp_v4_rcv()".
std::string name_of_block(const std::string& head);

// Lines without their ends.
std::vector<std::string> lines_of_text(const std::string& text);

}  // namespace ksplice
