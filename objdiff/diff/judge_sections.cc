// Judges what is told to the rest of the kernel by putting it into a section of a meaning
// (section_rules.h): what is registered at start or when a module is loaded, what others read, and
// sections that are not known. The code that an entry is about is compared elsewhere.
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "objdiff/diff/judge.h"
#include "objdiff/object/section_rules.h"

namespace ksplice {

namespace {

std::string referred(const Atoms& atoms, const Section& section, const Relocation& relocation) {
  const Reference reference = atoms.resolve(section, relocation);
  const std::string name = reference.atom != nullptr     ? plain_name(reference.atom->name)
                           : reference.symbol != nullptr ? reference.symbol->name
                                                         : "nothing";
  return reference.offset == 0 ? name : fmt::format("{}{:+#x}", name, reference.offset);
}

// The entries of a section without names: what they refer to, or else its strings.
std::multiset<std::string> entries_of(const Atoms& atoms, const Section& section) {
  std::multiset<std::string> entries;
  for (const Relocation& relocation : section.relocations)
    entries.insert(referred(atoms, section, relocation));
  if (!section.relocations.empty()) return entries;
  std::string text;
  for (uint8_t byte : section.data) {
    if (byte != 0)
      text += static_cast<char>(byte);
    else if (!text.empty())
      entries.insert(std::exchange(text, ""));
  }
  if (!text.empty()) entries.insert(text);
  return entries;
}

using Entries = std::map<std::string, std::multiset<std::string>>;

// Of sections that say something to others, and have no names.
Entries told_entries(const Atoms& atoms) {
  Entries result;
  for (const auto& section : atoms.object().sections) {
    const SectionRule* rule = section_rule(section->name);
    if (rule == nullptr || !rule->is_whole) continue;
    if (rule->use == SectionUse::Told || section->name == "_kprobe_blacklist")
      result[section->name].merge(entries_of(atoms, *section));
  }
  return result;
}

// By section that is not known, its bytes that no symbol names, and what they refer to. What its
// symbols name is compared as data or code.
Entries unnamed_in_unknown(const Atoms& atoms) {
  Entries entries;
  for (const Atom& atom : atoms.all()) {
    if (atom.symbol != nullptr || section_rule(atom.section->name) != nullptr) continue;
    const auto& bytes = atom.section->data;
    std::string text;
    for (uint64_t i = atom.offset; i < std::min<uint64_t>(atom.end(), bytes.size()); ++i)
      text += fmt::format("{:02x}", bytes[i]);
    for (const Relocation* relocation : atoms.relocations(atom))
      text += " " + referred(atoms, *atom.section, *relocation);
    entries[atom.section->name].insert(text);
  }
  return entries;
}

// Calls found(section, entry, is_new) for what only one of them has.
template <typename Found>
void each_difference(Entries pre, Entries post, Found found) {
  for (auto& [name, entries] : pre) post[name];
  for (auto& [name, entries] : post) {
    std::multiset<std::string>& old = pre[name];
    for (const std::string& entry : entries)
      if (auto same = old.find(entry); same != old.end())
        old.erase(same);
      else
        found(name, entry, true);
    for (const std::string& entry : old) found(name, entry, false);
  }
}

void refuse_unknown(Judgement& j, const std::string& section, const std::string& entry,
                    const char* what) {
  j.refuse("unknown_section", section, entry,
           fmt::format("{} in section {} {}, and the meaning of that section is not known", entry,
                       section, what),
           "leave what it registers out of the patch, or report the section");
}

void judge_named(Judgement& j, const DataDiff& data) {
  const SectionRule* rule = section_rule(data.section);
  if (rule == nullptr && data.status != DiffStatus::Changed) {
    refuse_unknown(j, data.section, data.name, verb(data.status));
  } else if (rule == nullptr) {
    return;  // refused as changed data
  } else if (rule->use == SectionUse::Registered && data.status == DiffStatus::New) {
    j.refuse("registration_changed", data.section, data.name,
             fmt::format("{} is new in {}: {}, which the kernel reads once, at its start or when "
                         "the module is loaded",
                         data.name, data.section, rule->what),
             "leave it out of the patch; code that needs what it names can be called from a "
             "ksplice_apply hook, and a parameter keeps its first value");
  } else if (data.status == DiffStatus::Removed && data.section != ".BTF_ids" &&
             (rule->use == SectionUse::Registered || rule->use == SectionUse::Judged)) {
    j.notes.push_back(fmt::format("{} in {} is gone from the source, and stays as it is: {}",
                                  data.name, data.section, rule->what));
  } else if (rule->use == SectionUse::Told) {
    j.notes.push_back(fmt::format("{} in {} {}, and is left as it is: {}", data.name, data.section,
                                  verb(data.status), rule->what));
  }
}

}  // namespace

void judge_sections(Judgement& j) {
  for (const DataDiff& data : j.context.diff.data)
    if (data.status != DiffStatus::Same) judge_named(j, data);
  each_difference(told_entries(j.context.pre), told_entries(j.context.post),
                  [&](const std::string& section, const std::string& entry, bool is_new) {
                    j.notes.push_back(fmt::format(
                        "\"{}\" in {} is {}, and the running kernel is not told: {}", entry,
                        section, is_new ? "new" : "gone", section_rule(section)->what));
                  });
  std::set<std::string> told;
  for (const Refusal& refusal : j.refusals)
    if (refusal.code == "unknown_section") told.insert(refusal.section);
  each_difference(unnamed_in_unknown(j.context.pre), unnamed_in_unknown(j.context.post),
                  [&](const std::string& section, const std::string&, bool) {
                    if (told.insert(section).second)
                      refuse_unknown(j, section, "what is", "changed");
                  });
}

}  // namespace ksplice
