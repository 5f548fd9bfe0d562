#include "create/weave.h"

#include <algorithm>
#include <cctype>

namespace ksplice {

namespace {

using Lines = std::vector<WovenLine>;

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

bool begins_word(const std::string& text) {
  return !text.empty() && is_word(text[0]) &&
         std::isdigit(static_cast<unsigned char>(text[0])) == 0;
}

// "out:", which stands in the first column inside a function.
bool is_label(const std::string& text) {
  size_t end = 0;
  while (end < text.size() && is_word(text[end])) ++end;
  return end < text.size() && text[end] == ':';
}

bool is_head(const std::string& text) { return begins_word(text) && !is_label(text); }

char last_character(const std::string& text) {
  size_t end = text.find_last_not_of(" \t");
  return end == text.npos ? '\0' : text[end];
}

bool ends_definition(const std::string& text) { return !text.empty() && text[0] == '}'; }

// The last line of the definition that begins at head.
size_t end_of_block(const Lines& lines, size_t head) {
  bool open = false;
  for (size_t at = head; at < lines.size(); ++at) {
    const std::string& text = lines[at].text;
    if (at > head && ends_definition(text)) return at;
    open = open || text.find('{') != text.npos;
    if (!open && last_character(text) == ';') return at;
  }
  return lines.size() - 1;
}

// The head of a definition in one line, as far as its name is in it.
std::string head_text(const Lines& lines, size_t at) {
  std::string text = lines[at].text;
  while (text.find_first_of("({=;") == text.npos && at + 1 < lines.size())
    text += " " + lines[++at].text;
  return text;
}

// One run over the patches.
class Weaver {
 public:
  Weaver(const std::vector<Patch>& patches, const std::set<size_t>& left_out,
         const SourceReader& read)
      : patches_(patches), left_out_(left_out), read_(read) {
    // Numbers of files do not depend on what is left out either.
    for (const Patch& patch : patches)
      for (const PatchFile& file : patch.files)
        for (const std::string& path : {file.old_path, file.new_path})
          sources_.emplace(path, -1 - static_cast<int>(sources_.size()));
  }

  Weave run() {
    for (size_t index = 0; index < patches_.size(); ++index)
      for (const PatchFile& file : patches_[index].files) weave_file(index, file);
    return std::move(weave_);
  }

 private:
  // The lines of the file as they are by now.
  Lines& open(const std::string& path) {
    auto known = weave_.files.find(path);
    if (known != weave_.files.end()) return known->second;
    Lines& lines = weave_.files[path];
    std::optional<std::string> text = read_(path);
    const int source = sources_.at(path);
    size_t number = 0;
    if (text)
      for (std::string& line : lines_of_text(*text))
        lines.push_back({std::move(line), {source, ++number}, {}});
    lines.emplace_back();
    return lines;
  }

  void weave_file(size_t index, const PatchFile& file) {
    const std::string& path = file.new_path.empty() ? file.old_path : file.new_path;
    const bool is_left_out = left_out_.contains(index);
    if (!is_left_out && (file.rename || file.copy) && file.old_path != path) {
      Lines old = open(file.old_path);
      if (file.rename) weave_.files[file.old_path].assign(1, {});
      weave_.files[path] = std::move(old);
    }
    long shift = 0;
    size_t begin = 0;
    for (const Hunk& hunk : file.hunks) {
      WovenHunk& woven = weave_.hunks.emplace_back();
      woven.patch = index;
      woven.file = path;
      woven.hunk = &hunk;
      if (!is_left_out) put(woven, open(path), shift, begin);
    }
  }

  // Where the old lines of hunk are, not before begin, as near as can be to where they should be.
  static std::optional<size_t> find_place(const Hunk& hunk, const Lines& lines, long shift,
                                          size_t begin) {
    std::vector<const std::string*> old;
    for (const std::string& line : hunk.lines)
      if (line[0] != '+') old.push_back(&line);
    const size_t end = lines.size() - 1;
    auto fits = [&](size_t at) {
      if (at < begin || at + old.size() > end) return false;
      for (size_t i = 0; i < old.size(); ++i)
        if (old[i]->compare(1, std::string::npos, lines[at + i].text) != 0) return false;
      return true;
    };
    // A hunk without old lines names the line behind which it belongs.
    const long first = static_cast<long>(hunk.first) - (old.empty() ? 0 : 1) + shift;
    const size_t wanted = static_cast<size_t>(std::clamp(first, 0L, static_cast<long>(end)));
    for (size_t away = 0; away <= end; ++away) {
      if (wanted + away <= end && fits(wanted + away)) return wanted + away;
      if (away > 0 && away <= wanted && fits(wanted - away)) return wanted - away;
    }
    return std::nullopt;
  }

  void put(WovenHunk& woven, Lines& lines, long& shift, size_t& begin) {
    const Hunk& hunk = *woven.hunk;
    std::optional<size_t> place = find_place(hunk, lines, shift, begin);
    if (!place) return;
    woven.placed = true;
    const int index = static_cast<int>(weave_.hunks.size()) - 1;
    note_blocks(woven, lines, *place, '-');
    size_t at = *place, number = 0;
    Lines result(std::make_move_iterator(lines.begin()),
                 std::make_move_iterator(lines.begin() + static_cast<long>(at)));
    std::vector<int> taken;
    auto keep = [&](WovenLine line) {
      line.taken_before.insert(line.taken_before.begin(), taken.begin(), taken.end());
      taken.clear();
      result.push_back(std::move(line));
    };
    for (const std::string& line : hunk.lines) {
      if (line[0] == '+') {
        result.push_back({line.substr(1), {index, ++number}, {}});
        continue;
      }
      woven.stands_on.push_back(lines[at].name);
      if (line[0] == '-') {
        taken.insert(taken.end(), lines[at].taken_before.begin(), lines[at].taken_before.end());
        if (std::count(taken.begin(), taken.end(), index) == 0) taken.push_back(index);
        ++at;
      } else {
        keep(std::move(lines[at++]));
      }
    }
    const size_t end = result.size();
    for (; at < lines.size(); ++at) keep(std::move(lines[at]));
    lines = std::move(result);
    note_blocks(woven, lines, *place, '+');
    const long first = static_cast<long>(hunk.first) - (woven.stands_on.empty() ? 0 : 1);
    shift = static_cast<long>(*place) - first;
    shift += static_cast<long>(end - *place) - static_cast<long>(woven.stands_on.size());
    begin = end;
  }

  // The definitions that hold what hunk takes away (kind '-') or brings ('+'), in the lines before
  // or after it. Where it brings something, the lines before it count on both sides.
  static void note_blocks(WovenHunk& woven, const Lines& lines, size_t at, char kind) {
    std::set<size_t> seen;
    auto note = [&](size_t line) {
      std::optional<std::pair<size_t, size_t>> found = find_block(lines, line);
      if (!found || !seen.insert(found->first).second) return;
      WovenBlock& block = woven.blocks.emplace_back();
      block.name = name_of_block(head_text(lines, found->first));
      block.is_function = block.name.ends_with("()");
      for (size_t i = found->first; i <= found->second; ++i) block.lines.insert(lines[i].name);
    };
    for (const std::string& line : woven.hunk->lines) {
      if (line[0] == kind) note(at);
      if (line[0] == ' ' || line[0] == kind) ++at;
    }
  }

  const std::vector<Patch>& patches_;
  const std::set<size_t>& left_out_;
  const SourceReader& read_;
  Weave weave_;
  std::map<std::string, int> sources_;
};

}  // namespace

std::vector<std::string> lines_of_text(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    if (!lines.back().empty() && lines.back().back() == '\r') lines.back().pop_back();
    at = end + 1;
  }
  return lines;
}

std::optional<std::pair<size_t, size_t>> find_block(const std::vector<WovenLine>& lines,
                                                    size_t at) {
  size_t head = at;
  for (;; --head) {
    const std::string& text = lines[head].text;
    if (is_head(text)) break;
    if (head == 0 || (head < at && ends_definition(text))) return std::nullopt;
  }
  // A head of several lines: "static int" above the name.
  while (head > 0 && is_head(lines[head - 1].text) && last_character(lines[head - 1].text) != ';' &&
         last_character(lines[head - 1].text) != ')')
    --head;
  size_t last = end_of_block(lines, head);
  if (last < at) return std::nullopt;
  return std::pair(head, last);
}

std::string name_of_block(const std::string& head) {
  size_t open = head.find('(');
  // Attributes come before the name, and in parentheses, too.
  while (open != head.npos) {
    size_t begin = open;
    while (begin > 0 && is_word(head[begin - 1])) --begin;
    std::string word = head.substr(begin, open - begin);
    size_t next = head.find('(', open + 1);
    if (!word.starts_with("__") || next == head.npos) {
      if (word.empty() || head.find('=') < open) break;
      return word + "()";
    }
    open = next;
  }
  return head.substr(0, head.find_last_not_of(" \t{=") + 1);
}

bool Weave::all_placed(size_t patch) const {
  return std::all_of(hunks.begin(), hunks.end(),
                     [&](const WovenHunk& hunk) { return hunk.patch != patch || hunk.placed; });
}

Weave weave(const std::vector<Patch>& patches, const std::set<size_t>& left_out,
            const SourceReader& read) {
  return Weaver(patches, left_out, read).run();
}

}  // namespace ksplice
