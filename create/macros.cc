#include "create/macros.h"

#include <cctype>
#include <sstream>

namespace ksplice {

namespace {

// Whether what a line is for depends on what macros are there, without a word of the compiler.
bool tests_macros(const std::string& line) {
  const std::string word = directive_of(line).first;
  if (word.starts_with("if") || word.starts_with("elif")) return true;
  // linux/kconfig.h
  for (const char* test : {"IS_ENABLED", "IS_BUILTIN", "IS_MODULE", "IS_REACHABLE", "__is_defined"})
    if (line.find(test) != line.npos) return true;
  return false;
}

}  // namespace

std::vector<std::string> lines_of(const Patch& patch, char kind) {
  std::vector<std::string> lines;
  for (const PatchFile& file : patch.files)
    for (const Hunk& hunk : file.hunks)
      for (const std::string& line : hunk.lines)
        if (line[0] == kind) lines.push_back(line.substr(1));
  return lines;
}

std::set<std::string> words_of(const std::string& text) {
  std::set<std::string> words;
  std::string word;
  for (size_t i = 0; i <= text.size(); ++i) {
    const char c = i < text.size() ? text[i] : ' ';
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_') {
      word += c;
      continue;
    }
    if (!word.empty() && std::isdigit(static_cast<unsigned char>(word[0])) == 0) words.insert(word);
    word.clear();
  }
  return words;
}

std::pair<std::string, std::string> directive_of(const std::string& line) {
  std::istringstream stream(line);
  std::string word, rest;
  stream >> word;
  if (word == "#") {
    std::string next;
    stream >> next;
    word += next;
  }
  if (!word.starts_with("#")) return {};
  std::getline(stream, rest);
  return {word.substr(1), rest};
}

std::string macro_defined_by(const std::string& line) {
  const auto [word, rest] = directive_of(line);
  if (word != "define") return "";
  std::istringstream stream(rest);
  std::string name;
  stream >> name;
  return name.substr(0, name.find('('));
}

std::set<std::string> macros_of(const Patch& patch) {
  std::set<std::string> macros;
  for (char kind : {'+', '-'})
    for (const std::string& line : lines_of(patch, kind)) {
      const auto [directive, rest] = directive_of(line);
      std::istringstream stream(rest);
      std::string undefined;
      if (directive == "undef" && stream >> undefined) macros.insert(undefined);
      macros.insert(macro_defined_by(line));
    }
  macros.erase("");
  return macros;
}

std::set<std::string> asked_words(const Hunk& hunk) {
  std::set<std::string> words;
  std::string logical;
  bool brings = false;
  for (const std::string& line : hunk.lines) {
    if (line[0] == '-') continue;
    brings = brings || line[0] == '+';
    logical += line.substr(1);
    if (logical.ends_with('\\')) {
      logical.back() = ' ';
      continue;
    }
    if (brings && tests_macros(logical)) words.merge(ksplice::words_of(logical));
    logical.clear();
    brings = false;
  }
  return words;
}

bool asks_for(const Hunk& hunk, const std::string& macro) {
  return asked_words(hunk).contains(macro);
}

}  // namespace ksplice
