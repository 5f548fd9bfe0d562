#include "create/approval.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "create/package/signature.h"
#include "create/progress.h"
#include "objdiff/base/html.h"
#include "objdiff/base/utc.h"
#include "objdiff/object/elf_read.h"
#include "objdiff/update/update_code.h"

namespace ksplice {

namespace {

// Dark text on light ground, and each colour has a sign beside it, for who does not see it, and
// for printers.
constexpr const char* Style =
    "body{font:1rem/1.5 sans-serif;color:#111;background:#fff;max-width:75rem;margin:0 auto;"
    "padding:0 1rem}pre,td.code{font:.85rem/1.4 monospace}pre{overflow-x:auto;margin:.5rem 0}"
    "table{border-collapse:collapse;margin:.5rem 0}.wide{overflow-x:auto}"
    "td,th{border:1px solid #767676;padding:.1rem .5rem;text-align:left;vertical-align:top}"
    "td.code{white-space:pre-wrap;overflow-wrap:anywhere}caption{text-align:left;font-weight:bold}"
    ".gone{background:#fde3e3}.new{background:#ddf4dd}.unsure{background:#fff3c4}"
    ".skip td{color:#444;font-style:italic}a{color:#0645ad}"
    "@media print{body{max-width:none}.wide,pre{overflow:visible}pre{white-space:pre-wrap}"
    "tr{break-inside:avoid}a{color:inherit}}";

std::string paragraph(const std::string& text) { return fmt::format("<p>{}</p>\n", escaped(text)); }

std::string items(const std::vector<std::string>& texts) {
  std::string result = "<ul>\n";
  for (const std::string& text : texts) result += fmt::format("<li>{}</li>\n", escaped(text));
  return result + "</ul>\n";
}

// A function of one target of one kernel; its place in the page.
struct Shown {
  std::string anchor, kernel;
  const PackageTarget* target;
  const PackageFunction* function;
};

std::vector<Shown> list_functions(const Package& package) {
  std::vector<Shown> all;
  for (const PackageKernel& kernel : package.kernels)
    for (const PackageTarget& target : kernel.targets)
      for (const PackageFunction& function : target.functions)
        all.push_back({fmt::format("f{}", all.size() + 1), kernel.release, &target, &function});
  return all;
}

using Codes = std::map<const PackageTarget*, TargetCode>;

// The functions that the module of the target replaces, and the manifest does not name.
std::vector<const FunctionCode*> unnamed_functions(const PackageTarget& target,
                                                   const TargetCode& code) {
  std::multiset<std::string> named;
  for (const PackageFunction& function : target.functions)
    if (function.status == "changed") named.insert(function.name);
  std::vector<const FunctionCode*> unnamed;
  for (const FunctionCode& each : code.functions)
    if (auto found = named.find(each.name); found != named.end())
      named.erase(found);
    else
      unnamed.push_back(&each);
  return unnamed;
}

std::string source_of(const nlohmann::json& reason) {
  auto source = reason.find("source");
  std::string text =
      source == reason.end() || !source->is_string() ? "" : source->get<std::string>();
  while (text.starts_with("../")) text = text.substr(3);
  return text;
}

// A hunk of the patch: the lines of the new file that it covers.
struct Hunk {
  std::string file;
  long first = 0, count = 0;
  bool covers(const std::string& source) const {
    const size_t colon = source.rfind(':');
    if (colon == std::string::npos || source.substr(0, colon) != file) return false;
    const long line = std::atol(source.c_str() + colon + 1);
    return line >= first && line < first + std::max(count, 1l);
  }
};

std::string file_of(const std::string& line) {  // "+++ b/mm/slab.c\t2026-..."
  std::string path = line.substr(
      4, line.find('\t') == std::string::npos ? std::string::npos : line.find('\t') - 4);
  while (!path.empty() && (path.back() == '\r' || path.back() == ' ')) path.pop_back();
  return path.starts_with("b/") ? path.substr(2) : path;
}

std::string functions_of(const Hunk& hunk, const std::vector<Shown>& functions, bool many) {
  std::string links;
  for (const Shown& each : functions) {
    const bool is_due =
        std::any_of(each.function->reasons.begin(), each.function->reasons.end(),
                    [&](const nlohmann::json& reason) { return hunk.covers(source_of(reason)); });
    if (is_due)
      links += fmt::format("{}<a href=\"#{}\">{}</a>", links.empty() ? "" : ", ", each.anchor,
                           escaped(each.function->name + (many ? " (" + each.kernel + ")" : "")));
  }
  return links.empty() ? "<p>No function is named for this hunk: it changes no code by itself, or "
                         "code that is due to another hunk, too.</p>\n"
                       : fmt::format("<p>Changes {}.</p>\n", links);
}

std::string patch_part(const Package& package, const std::vector<Shown>& functions) {
  const std::vector<uint8_t>& patch = package.files.at("patch");
  std::istringstream lines(std::string(patch.begin(), patch.end()));
  std::string text = "<h2 id=\"patch\">The patch</h2>\n<pre>", file, last;
  size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("+++ ") && last.starts_with("--- ")) file = file_of(line);
    last = line;
    Hunk hunk{file, 0, 1};
    if (std::sscanf(line.c_str(), "@@ -%*[0-9,] +%ld,%ld @@", &hunk.first, &hunk.count) >= 1)
      text += fmt::format("</pre>\n<h3>Hunk {} of {}</h3>\n{}<pre>", ++number, escaped(file),
                          functions_of(hunk, functions, package.kernels.size() > 1));
    const char* kind = line.starts_with("+") ? "new" : line.starts_with("-") ? "gone" : nullptr;
    if (kind == nullptr)
      text += escaped(line) + "\n";
    else
      text += fmt::format("<span class=\"{}\">{}</span>\n", kind, escaped(line));
  }
  return text + "</pre>\n";
}

// Such a tarball is not as ksplice-create makes it.
std::string alarm(const Package& package, const Codes& codes) {
  std::string text;
  for (const PackageKernel& kernel : package.kernels)
    for (const PackageTarget& target : kernel.targets)
      for (const FunctionCode* function : unnamed_functions(target, codes.at(&target)))
        text += fmt::format(
            "<p class=\"gone\"><strong>WARNING: {}</strong></p>\n",
            escaped(fmt::format("{} of {}, kernel {}, is replaced, and the manifest does not say "
                                "so. Do not approve this update before you know why.",
                                function->name, target.name, kernel.release)));
  return text;
}

std::string head_part(const Package& package, const Codes& codes) {
  std::string text = "<h2 id=\"update\">The update</h2>\n" + alarm(package, codes) + "<ul>\n";
  auto item = [&](const std::string& line) { text += fmt::format("<li>{}</li>\n", escaped(line)); };
  item(fmt::format("made {} by {}", package.created, package.tool));
  for (const PackageKernel& kernel : package.kernels)
    item(fmt::format("for kernel {} with the build id {}, and no other", kernel.release,
                     kernel.build_id));
  item(package.signature.empty()
           ? "not signed"
           : fmt::format(
                 "signed, as it says itself, by {}; generation {}, valid {}; ksplice-view "
                 "--file says whether a host trusts that",
                 claimed_signer(package.signature), package.generation,
                 package.expires == 0 ? "without end" : "until " + utc_text(package.expires)));
  item(package.cves.empty() ? "names no CVE that it fixes"
                            : fmt::format("fixes {}", fmt::join(package.cves, ", ")));
  for (const std::string& commit : package.upstream_commits) item("upstream commit " + commit);
  for (const PackageLeftOut& left : package.left_out_patches)
    item(fmt::format("left out of the series: {} ({}{}{})", left.patch, left.code,
                     left.why.empty() ? "" : ": ", left.why));
  return text + "</ul>\n";
}

std::string reasons_list(const PackageFunction& function) {
  std::vector<std::string> reasons;
  for (const nlohmann::json& reason : function.reasons) {
    const std::string kind = reason.value("kind", ""), source = source_of(reason);
    std::string text = kind == "patch" ? "the patch changes it" : kind;
    if (!source.empty()) text += " at " + source;
    if (const std::string before = reason.value("before", ""); !before.empty())
      text += ": was " + before;
    if (const std::string detail = reason.value("detail", ""); !detail.empty())
      text += (reason.value("before", "").empty() ? ": " : ", is ") + detail;
    reasons.push_back(text);
  }
  return reasons.empty() ? "" : items(reasons);
}

std::string code_table(const FunctionCode& code) {
  constexpr size_t Context = 3;
  std::string text = fmt::format(
      "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"code of {0}\">\n<table>"
      "<caption>Code of {0}</caption>\n<tr><th scope=\"col\"></th><th scope=\"col\">before</th>"
      "<th scope=\"col\">after</th></tr>\n",
      escaped(code.name));
  const auto& rows = code.rows;
  std::vector<bool> is_shown(rows.size());
  for (size_t i = 0; i < rows.size(); ++i)
    if (rows[i].kind != CodeRow::Kind::Same)
      for (size_t j = i - std::min(i, Context); j < std::min(rows.size(), i + Context + 1); ++j)
        is_shown[j] = true;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (!is_shown[i]) {
      const size_t begin = i;
      while (i + 1 < rows.size() && !is_shown[i + 1]) ++i;
      text += fmt::format("<tr class=\"skip\"><td></td><td colspan=\"2\">{} alike</td></tr>\n",
                          counted(i + 1 - begin, "instruction"));
      continue;
    }
    const CodeRow& row = rows[i];
    const char* sign = row.kind == CodeRow::Kind::Gone     ? "-"
                       : row.kind == CodeRow::Kind::New    ? "+"
                       : row.kind == CodeRow::Kind::Unsure ? "?"
                                                           : "";
    const char* kind = row.kind == CodeRow::Kind::Gone     ? " class=\"gone\""
                       : row.kind == CodeRow::Kind::New    ? " class=\"new\""
                       : row.kind == CodeRow::Kind::Unsure ? " class=\"unsure\""
                                                           : "";
    text +=
        fmt::format("<tr{}><td>{}</td><td class=\"code\">{}</td><td class=\"code\">{}</td></tr>\n",
                    kind, sign, escaped(row.before), escaped(row.after));
  }
  return text + "</table></div>\n";
}

std::string proof_text(const FunctionCode& code) {
  std::string text = paragraph(fmt::format(
      "{} before, {} after. Proven against the kernel's image when the update "
      "was made, and byte for byte in the running kernel before it is applied: "
      "all {} bytes of the code before{}.",
      counted(code.old_size, "byte"), counted(code.new_size, "byte"), code.old_size,
      code.rewritten.empty() ? ""
                             : ", where the kernel itself rewrites some, as one of the forms "
                               "that it writes"));
  std::vector<std::string> kinds;
  for (const auto& [why, places] : code.rewritten)
    kinds.push_back(fmt::format("{}: {}, {}", why, counted(places.first, "place"),
                                counted(places.second, "byte")));
  return text + (kinds.empty() ? "" : items(kinds));
}

std::string function_part(const Shown& shown, const TargetCode& code) {
  const PackageFunction& function = *shown.function;
  std::string text = fmt::format("<h3 id=\"{}\">{}</h3>\n", shown.anchor, escaped(function.name));
  const bool is_changed = function.status == "changed";
  const bool is_replaced =
      is_changed && std::ranges::count(code.functions, function.name, &FunctionCode::name) != 0;
  text += paragraph(fmt::format("{} in {}, kernel {}, from {}",
                                is_replaced  ? "Replaced"
                                : is_changed ? "Changed, and not replaced by itself,"
                                             : "New",
                                shown.target->name, shown.kernel, function.unit));
  text += reasons_list(function);
  for (const FunctionCode& each : code.functions)
    if (is_changed && each.name == function.name) text += proof_text(each) + code_table(each);
  return text;
}

// What the module has besides what the manifest says that it replaces.
std::string rest_part(const std::string& where, const PackageTarget& target,
                      const TargetCode& code) {
  std::string text;
  for (const FunctionCode* each : unnamed_functions(target, code))
    text += fmt::format(
                "<h3>{}</h3>\n<p class=\"gone\"><strong>WARNING: replaced in {}, and the "
                "manifest does not say so</strong></p>\n",
                escaped(each->name), escaped(where)) +
            proof_text(*each) + code_table(*each);
  for (const FunctionCode& each : code.others)
    text += fmt::format("<h3>{}</h3>\n", escaped(each.name)) +
            paragraph("New code for " + where + ", which replaces none") + code_table(each);
  return text;
}

std::string functions_part(const Package& package, const std::vector<Shown>& functions,
                           const Codes& codes) {
  std::string text =
      "<h2 id=\"functions\">Functions</h2>\n"
      "<p>Instructions that are alike stand in one row. Where a branch leads within its function "
      "is "
      "not compared. The update does not name what it does not use: such places are written as the "
      "target and a distance; a row with ? has one that may be another than what stands beside "
      "it.</p>\n";
  for (const Shown& shown : functions) text += function_part(shown, codes.at(shown.target));
  for (const PackageKernel& kernel : package.kernels)
    for (const PackageTarget& target : kernel.targets) {
      text += rest_part(fmt::format("{} of kernel {}", target.name, kernel.release), target,
                        codes.at(&target));
      if (!target.added.empty())
        text += paragraph(fmt::format("New in {} of {}: {}", target.name, kernel.release,
                                      fmt::join(target.added, ", ")));
    }
  return text;
}

std::string data_part(const Package& package, const Codes& codes) {
  std::string text =
      "<h2 id=\"data\">Types, data and what its maker consented to</h2>\n"
      "<p>ksplice-create makes no update where the layout of a type that live objects may have, or "
      "the contents of existing data, changes, unless its maker consented by name. It compares the "
      "types of the compiled units before and after, and with those of the kernel.</p>\n";
  std::vector<std::string> lines;
  for (const std::string& note : package.notes) lines.push_back("note: " + note);
  for (const std::string& name : package.allow_busy)
    lines.push_back("tasks may be in " + name + " at the switch");
  for (const auto& [target, code] : codes)
    for (const SwitchedPlace& place : code.places)
      lines.push_back(
          place.mask == ~uint64_t{0} && !place.new_target.empty()
              ? fmt::format("the pointer {} is switched to {}", place.name, place.new_target)
              : fmt::format("{} is switched from {:#x} to {:#x} (mask {:#x})", place.name,
                            place.old_value, place.new_value, place.mask));
  return text +
         (lines.empty() ? "<p>There is nothing of that kind, and no note.</p>\n" : items(lines));
}

std::string undo_part(const Package& package) {
  std::string text =
      "<h2 id=\"undo\">What undo does</h2>\n"
      "<p>All functions go back to the code before at one instant.</p>\n<ul>\n";
  auto item = [&](const std::string& line) { text += fmt::format("<li>{}</li>\n", escaped(line)); };
  for (const PackageKernel& kernel : package.kernels)
    for (const PackageTarget& target : kernel.targets) {
      const std::string where = fmt::format("{} of kernel {}: ", target.name, kernel.release);
      item(where + (target.kept ? "the update's module stays in memory, as it may be in use"
                                : "the update's module is freed"));
      for (const std::string& away : target.given_away)
        item(where + (target.kept ? "stays: " : "taken back by hooks of the patch: ") + away);
      for (const PackageLower& lower : target.stands_on)
        item(where + "stands on update " + lower.id + ", and is undone before that");
    }
  return text + "</ul>\n";
}

std::string contents_part(const Package& package) {
  std::string text =
      "<h2 id=\"contents\">What is in the tarball</h2>\n<div class=\"wide\" "
      "tabindex=\"0\" role=\"region\" aria-label=\"files\">\n<table>\n<tr><th "
      "scope=\"col\">file</th><th scope=\"col\">bytes</th></tr>\n";
  for (const auto& [path, content] : package.files)
    text += fmt::format("<tr><td>{}</td><td>{}</td></tr>\n", escaped(path), content.size());
  return text + "</table></div>\n";
}

}  // namespace

namespace {

TargetCode read_code(const Package& package, const PackageTarget& target) {
  const std::vector<uint8_t>& final = package.files.at(target.final);
  return read_target_code(read_object(package.files.at(target.file), target.file),
                          read_finalization({final.begin(), final.end()}));
}

}  // namespace

std::string approval_html(const Package& package) {
  const std::vector<Shown> functions = list_functions(package);
  Codes codes;
  for (const PackageKernel& kernel : package.kernels)
    for (const PackageTarget& target : kernel.targets) codes[&target] = read_code(package, target);
  std::string text =
      html_head(fmt::format("Update {}{}{}", package.id, package.description.empty() ? "" : ": ",
                            package.description),
                Style);
  text += "<nav aria-label=\"contents\"><ul>\n";
  for (const auto& [anchor, name] : {std::pair{"update", "The update"},
                                     {"patch", "The patch"},
                                     {"functions", "Functions"},
                                     {"data", "Types, data, consent"},
                                     {"undo", "What undo does"},
                                     {"contents", "What is in the tarball"}})
    text += fmt::format("<li><a href=\"#{}\">{}</a></li>\n", anchor, name);
  text += "</ul></nav>\n<main>\n" + head_part(package, codes) + patch_part(package, functions) +
          functions_part(package, functions, codes) + data_part(package, codes) +
          undo_part(package) + contents_part(package);
  return text + "</main>\n</body></html>\n";
}

}  // namespace ksplice
