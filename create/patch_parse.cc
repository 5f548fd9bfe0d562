// Reading diffs. Only what is needed to know which files a patch names: patch(1) applies hunks, and
// is given nothing but the sections that were understood here. What stands around them (the text of
// a mail, an indented or quoted diff in it, an ed script) would otherwise be its to interpret.
//
// A line "--- x" inside a hunk is text that is taken away ("-- x" with a minus before it), not a
// header, so hunks are read by the line counts of their "@@ -a,b +c,d @@".

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "create/patch.h"
#include "objdiff/base/error.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

// Lines with their ends.
std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    size_t end = text.find('\n');
    lines.push_back(text.substr(0, end == std::string_view::npos ? end : end + 1));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return lines;
}

std::string_view without_end(std::string_view line) {
  if (!line.empty() && line.back() == '\n') line.remove_suffix(1);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

// git quotes names with unusual bytes like C strings: "a/\303\244.c".
std::string unquote(std::string_view text) {
  if (text.size() < 2 || text.front() != '"') return std::string(text);
  size_t end = text.find_last_of('"');
  std::string result;
  for (size_t i = 1; i < end; ++i) {
    if (text[i] != '\\' || i + 1 >= end) {
      result += text[i];
      continue;
    }
    char c = text[++i];
    if (c >= '0' && c <= '7' && i + 2 < end) {
      result += static_cast<char>((c - '0') * 64 + (text[i + 1] - '0') * 8 + (text[i + 2] - '0'));
      i += 2;
    } else {
      result += c == 'n' ? '\n' : c == 't' ? '\t' : c;
    }
  }
  return result;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The name in a "--- " or "+++ " line: up to a tab, or to a date that follows a space.
std::string header_name(std::string_view line) {
  line.remove_prefix(4);
  if (!line.empty() && line.front() == '"') return unquote(line);
  line = line.substr(0, line.find('\t'));
  for (size_t at = line.find(' '); at != std::string_view::npos; at = line.find(' ', at + 1)) {
    std::string_view date = line.substr(at + 1, 11);  // "2024-01-31 "
    if (date.size() != 11 || date[4] != '-' || date[7] != '-' || date[10] != ' ') continue;
    if (is_digit(date[0]) && is_digit(date[5]) && is_digit(date[8])) line = line.substr(0, at);
  }
  while (!line.empty() && line.back() == ' ') line.remove_suffix(1);
  return std::string(line);
}

int hex_digit(char c) { return is_digit(c) ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; }

// RFC 2047: "=?UTF-8?q?caf=C3=A9?=", as mailers and git write what is not ASCII. The text of an
// encoding that is not known here stays as it is.
std::string decode_words(const std::string& text) {
  std::string result;
  for (size_t at = 0; at < text.size();) {
    size_t charset = text.compare(at, 2, "=?") == 0 ? text.find('?', at + 2) : text.npos;
    size_t end = charset == text.npos ? text.npos : text.find("?=", charset + 3);
    bool quoted = end != text.npos && (text[charset + 1] | 0x20) == 'q' && text[charset + 2] == '?';
    if (!quoted) {
      result += text[at++];
      continue;
    }
    for (size_t i = charset + 3; i < end; ++i) {
      bool coded = text[i] == '=' && i + 2 < end + 1 && hex_digit(text[i + 1]) >= 0 &&
                   hex_digit(text[i + 2]) >= 0;
      if (coded) {
        result += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
        i += 2;
      } else {
        result += text[i] == '_' ? ' ' : text[i];
      }
    }
    at = end + 2;
    // Space between two such words is not part of the text.
    size_t next = text.find_first_not_of(' ', at);
    if (next != text.npos && next > at && text.compare(next, 2, "=?") == 0) at = next;
  }
  return result;
}

// The description that a subject gives: without "[PATCH 1/2] [stable]", on one line.
std::string subject_line(std::string text) {
  text = decode_words(text);
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  size_t open = text.find_first_not_of(' ');
  while (open != text.npos && text[open] == '[') {
    size_t close = text.find(']', open);
    if (close == text.npos) break;
    open = text.find_first_not_of(' ', close + 1);
  }
  return open == text.npos ? "" : text.substr(open, text.find_last_not_of(' ') + 1 - open);
}

bool is_hex(char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; }

// The value of a Content-Transfer-Encoding line, in small letters.
std::optional<std::string> encoding_header(std::string_view line) {
  constexpr std::string_view Name = "content-transfer-encoding:";
  std::string text(line);
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (!starts_with(text, Name)) return std::nullopt;
  const size_t from = text.find_first_not_of(" \t", Name.size());
  if (from == text.npos) return "";
  return text.substr(from, text.find_first_of(" \t;", from) - from);
}

bool is_base64(std::string_view line) {
  constexpr size_t Some = 16;  // a word of a text may look like it
  return line.size() >= Some && std::all_of(line.begin(), line.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '+' || c == '/' || c == '=';
         });
}

class Parser {
 public:
  Parser(std::string_view text, unsigned strip, Patch& patch)
      : patch_(patch), raw_(split_lines(text)), strip_(strip) {
    for (std::string_view line : raw_) lines_.push_back(without_end(line));
  }

  void run() {
    while (at_ < lines_.size()) {
      std::string_view line = lines_[at_];
      if (starts_with(line, "diff --git ")) {
        read_git_section();
      } else if (is_file_header(at_)) {
        read_hunks(patch_.files.emplace_back());
      } else if (starts_with(line, "*** ") && at_ + 1 < lines_.size() &&
                 starts_with(lines_[at_ + 1], "--- ")) {
        fail("is a context diff", "make it with diff -u");
      } else if (starts_with(line, "Binary files ")) {
        fail(fmt::format("changes a binary file: {}", line), "leave that file out");
      } else {
        read_mail_line();
        ++at_;
      }
    }
    if (patch_.files.empty()) fail("has no diff in it", "give a unified diff");
    check_encoding();
  }

 private:
  [[noreturn]] void fail(const std::string& what, const std::string& hint) const {
    std::string place = fmt::format("{}:{}", patch_.name, at_ + 1);
    throw Error("bad_patch", fmt::format("{}: the patch {}", place, what),
                patch_.encoding.empty() ? hint : decode_hint(patch_));
  }

  bool is_file_header(size_t at) const {
    return at + 1 < lines_.size() && starts_with(lines_[at], "--- ") &&
           starts_with(lines_[at + 1], "+++ ");
  }

  // The lines above the first section: a mail's, or those of Debian's DEP-3.
  void read_mail_line() {
    std::string_view line = lines_[at_];
    if (!patch_.files.empty() && starts_with(line, "@@ -"))
      fail("has a hunk without a file's header: a line that is none of its section stands above it",
           "take the stray line out; patch(1) would leave this hunk out");
    // Each mail, and each part of one, has its own.
    if (const std::optional<std::string> encoding = encoding_header(line)) {
      const bool is_coded = *encoding == "quoted-printable" || *encoding == "base64";
      patch_.encoding = is_coded ? *encoding : "";
      return;
    }
    if (patch_.encoding == "base64" && is_base64(line))
      fail("has a part in base64, in which more of it may stand", "");
    if (!patch_.files.empty()) return;
    if (patch_.subject.empty() && starts_with(line, "Subject: ")) {
      patch_.subject = subject_line(folded_line().substr(9));
    } else if (patch_.subject.empty() && starts_with(line, "Description: ")) {
      patch_.subject = subject_line(std::string(line.substr(13)));
    }
  }

  // Whether a mail's text is as it was written cannot be told from its head, as programs that
  // decode it may leave that alone. In quoted-printable each "=" is written "=3D": where another
  // one stands, the text is decoded. At the end of a line it may be either.
  void look_for_codes(size_t from) {
    if (patch_.encoding != "quoted-printable") return;
    for (size_t at = from; at < at_; ++at) {
      const std::string_view line = lines_[at];
      for (size_t i = line.find('='); i != line.npos; i = line.find('=', i + 1)) {
        const std::string_view code = line.substr(i + 1, 2);
        if (code.empty()) continue;
        const bool is_code = code.size() == 2 && is_hex(code[0]) && is_hex(code[1]);
        is_decoded_ = is_decoded_ || !is_code;
        if (!is_code) continue;
        if (coded_.empty()) coded_ = fmt::format("{}:{}", patch_.name, at + 1);
        is_coded_ = is_coded_ || code == "3D" || code == "3d";
      }
    }
  }

  void check_encoding() const {
    if (coded_.empty() || (is_decoded_ && !is_coded_)) return;
    Patch mail;
    mail.encoding = "quoted-printable";
    throw Error("bad_patch",
                fmt::format("{}: the patch is not decoded: its mail is in quoted-printable, in "
                            "which \"=3D\" stands for \"=\"",
                            coded_),
                decode_hint(mail));
  }

  // A header line with those that continue it.
  std::string folded_line() {
    std::string text(lines_[at_]);
    while (at_ + 1 < lines_.size() && starts_with(lines_[at_ + 1], " ")) text += lines_[++at_];
    return text;
  }

  std::string strip(const std::string& raw) const {
    if (raw == "/dev/null") return "";
    std::string_view path = raw;
    if (starts_with(path, "/")) fail(fmt::format("names an absolute path, {}", raw), "");
    for (unsigned i = 0; i < strip_; ++i) {
      size_t slash = path.find('/');
      if (slash == std::string_view::npos)
        fail(fmt::format("names {}, which has fewer than {} leading folders", raw, strip_),
             "say with --patch-opt=-pN how many to strip");
      path.remove_prefix(slash + 1);
    }
    return safe(fs::path(path).lexically_normal().string(), raw);
  }

  std::string safe(const std::string& path, const std::string& raw) const {
    for (unsigned char c : path)
      if (c < 0x20 || c == 0x7f) fail("names a file with a control character in its name", "");
    bool bad = path.empty() || path.front() == '/' || path == ".";
    for (const fs::path& part : fs::path(path)) bad = bad || part == "..";
    if (bad) fail(fmt::format("names {}, which is outside the source", raw), "");
    return path;
  }

  // From "diff --git" to the end of its hunks.
  void read_git_section() {
    PatchFile file;
    size_t start = at_++;
    for (; at_ < lines_.size() && !is_file_header(at_); ++at_) {
      std::string_view line = lines_[at_];
      if (starts_with(line, "rename from ") || starts_with(line, "copy from "))
        file.old_path = safe_tail(line, line.find("from ") + 5);
      else if (starts_with(line, "rename to ") || starts_with(line, "copy to "))
        file.new_path = safe_tail(line, line.find("to ") + 3);
      else if (starts_with(line, "GIT binary patch") || starts_with(line, "Binary files "))
        fail(fmt::format("changes a binary file: {}", lines_[start].substr(11)),
             "leave that file out");
      else if (is_special_mode(line))
        fail(fmt::format("makes or changes a link: {}", lines_[start].substr(11)),
             "only the content of plain files can be updated");
      else if (!is_git_extra(line))
        break;
      file.rename = file.rename || starts_with(line, "rename ");
      file.copy = file.copy || starts_with(line, "copy ");
    }
    look_for_codes(start);
    for (size_t at = start; at < at_; ++at) patch_.diff += raw_[at];
    if (at_ < lines_.size() && is_file_header(at_)) {
      patch_.files.push_back(file);
      read_hunks(patch_.files.back());
    } else if (file.rename || file.copy) {
      patch_.files.push_back(file);
    } else if (std::optional<std::string> path = same_name(lines_[start])) {
      file.old_path = file.new_path = *path;  // only a mode, or an empty file
      patch_.files.push_back(file);
    }
  }

  std::string safe_tail(std::string_view line, size_t from) const {
    std::string raw = unquote(line.substr(from));
    return safe(fs::path(raw).lexically_normal().string(), raw);
  }

  static bool is_git_extra(std::string_view line) {
    for (std::string_view word : {"old mode ", "new mode ", "deleted file ", "new file ",
                                  "similarity ", "dissimilarity ", "index "})
      if (starts_with(line, word)) return true;
    return false;
  }

  // "new file mode 120000": a symbolic link; 160000: another git tree.
  static bool is_special_mode(std::string_view line) {
    size_t mode = line.find("mode ");
    if (mode == std::string_view::npos || !is_git_extra(line)) return false;
    std::string_view value = line.substr(mode + 5, 3);
    return value == "120" || value == "160";
  }

  // "diff --git a/x b/x" of a section without other names.
  std::optional<std::string> same_name(std::string_view line) const {
    line.remove_prefix(11);
    size_t half = line.size() / 2;
    if (line.size() < 5 || line[half] != ' ') return std::nullopt;
    std::string first = unquote(line.substr(0, half)), second = unquote(line.substr(half + 1));
    if (strip(first) != strip(second)) return std::nullopt;
    return strip(first);
  }

  void read_hunks(PatchFile& file) {
    size_t start = at_;
    file.given = header_name(lines_[at_]);
    std::string old_path = strip(header_name(lines_[at_]));
    std::string new_path = strip(header_name(lines_[at_ + 1]));
    if (file.old_path.empty()) file.old_path = old_path;
    if (file.new_path.empty()) file.new_path = new_path;
    if (file.old_path.empty() && file.new_path.empty()) fail("names /dev/null twice", "");
    at_ += 2;
    while (at_ < lines_.size() && starts_with(lines_[at_], "@@ ")) {
      file.hunks.push_back(read_hunk());
    }
    if (file.hunks.empty()) fail(fmt::format("has no hunk for {}", new_path), "");
    check_end_of_hunk();
    look_for_codes(start);
    for (size_t at = start; at < at_; ++at) patch_.diff += raw_[at];
    if (patch_.diff.back() != '\n') patch_.diff += '\n';
  }

  // A mail ends with "-- ".
  void check_end_of_hunk() const {
    if (at_ >= lines_.size() || lines_[at_].empty()) return;
    const std::string_view line = lines_[at_];
    const bool is_text =
        line[0] == '-' && (starts_with(line, "-- ") || starts_with(line, "-----") ||
                           starts_with(line, "--- ") || line == "--" || line == "---");
    if ((line[0] == '+' || line[0] == '-') && !is_text)
      fail("has a hunk that goes on behind what its header says",
           "make it with diff -u or git again");
  }

  Hunk read_hunk() {
    unsigned long old_count = 1, new_count = 1, line = 0;
    std::string header(lines_[at_]);
    Hunk hunk;
    hunk.range = header.substr(0, header.find("@@", 3) + 2);
    const char* place = header.c_str() + 3;
    char* end = nullptr;
    auto number = [&](char lead, unsigned long& count) {
      if (*place != lead) fail("has a hunk header that cannot be read", "");
      line = std::strtoul(place + 1, &end, 10);
      if (end == place + 1) fail("has a hunk header that cannot be read", "");
      if (*end == ',') count = std::strtoul(end + 1, &end, 10);
      place = *end == ' ' ? end + 1 : end;
    };
    number('-', old_count);
    hunk.first = line;
    number('+', new_count);
    ++at_;
    while ((old_count > 0 || new_count > 0) && at_ < lines_.size()) {
      char first = lines_[at_].empty() ? ' ' : lines_[at_][0];
      if (first == '-' && old_count > 0)
        --old_count;
      else if (first == '+' && new_count > 0)
        --new_count;
      else if (first == ' ' && old_count > 0 && new_count > 0)
        --old_count, --new_count;
      else if (first != '\\')
        fail("has a hunk that does not fit its header", "is it cut off?");
      if (first != '\\') hunk.lines.push_back(lines_[at_].empty() ? " " : std::string(lines_[at_]));
      ++at_;
    }
    if (old_count > 0 || new_count > 0) fail("ends inside a hunk", "is it cut off?");
    if (at_ < lines_.size() && starts_with(lines_[at_], "\\ ")) ++at_;
    return hunk;
  }

  Patch& patch_;
  std::vector<std::string_view> raw_, lines_;  // with and without line ends
  size_t at_ = 0;
  unsigned strip_;
  std::string coded_;  // the first place with what may be a code of quoted-printable
  bool is_coded_ = false, is_decoded_ = false;
};

}  // namespace

Patch parse_patch(const std::string& text, unsigned strip, const std::string& name) {
  Patch patch;
  patch.name = name;
  patch.label = name.substr(name.rfind('/') + 1);
  Parser(text, strip, patch).run();
  return patch;
}

std::string decode_hint(const Patch& patch) {
  return fmt::format("the mail is encoded ({}): save its text decoded, or give git's commit",
                     patch.encoding);
}

std::vector<std::string> split_series(const std::string& text) {
  std::vector<std::string> mails(1);
  for (std::string_view line : split_lines(text)) {
    // "From 9c1f...: 40 hex digits, Mon Sep 17 00:00:00 2001": git's mark between two patches.
    bool starts = starts_with(line, "From ") &&
                  line.substr(0, 45).find_first_not_of("0123456789abcdef", 5) == line.npos &&
                  starts_with(line.substr(std::min<size_t>(45, line.size())), " Mon Sep 17 ");
    if (starts && !mails.back().empty()) mails.emplace_back();
    mails.back() += line;
  }
  bool several = mails.size() > 1;
  std::erase_if(mails, [&](const std::string& mail) {  // a cover letter
    return several && mail.find("\n--- ") == mail.npos && mail.find("\ndiff --git ") == mail.npos;
  });
  if (mails.empty()) mails.push_back(text);
  return mails;
}

unsigned strip_of(const std::vector<std::string>& patch_options) {
  unsigned strip = 1;
  for (const std::string& option : patch_options) {
    const char* digits = starts_with(option, "-p")         ? option.c_str() + 2
                         : starts_with(option, "--strip=") ? option.c_str() + 8
                                                           : nullptr;
    if (digits != nullptr && *digits >= '0' && *digits <= '9')
      strip = static_cast<unsigned>(std::strtoul(digits, nullptr, 10));
  }
  return strip;
}

}  // namespace ksplice
