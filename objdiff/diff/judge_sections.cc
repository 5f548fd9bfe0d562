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
#include "objdiff/object/special_tables.h"

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

// Bytes of section and what they refer to.
std::string entry_text(const Atoms& atoms, const Section& section, uint64_t begin, uint64_t end) {
  std::string text;
  for (uint64_t i = begin; i < std::min<uint64_t>(end, section.data.size()); ++i)
    text += fmt::format("{:02x}", section.data[i]);
  for (const Relocation& relocation : section.relocations)
    if (relocation.offset >= begin && relocation.offset < end)
      text += fmt::format(" {}:{}:{}", relocation.offset - begin, relocation.type,
                          referred(atoms, section, relocation));
  return text;
}

// The size of an entry of a section that has a rule, if each begins with fields that no relocation
// is for; else 0. struct pci_fixup, with the distance to its function last (linux/pci.h,
// since 4.19).
uint64_t size_of_registered(const Section& section) {
  constexpr uint64_t PciFixup = 16;
  return section.name.starts_with(".pci_fixup") && section.size % PciFixup == 0 ? PciFixup : 0;
}

// The size of section's entries if they are regular, and come in the order of the code that they
// are about: such a table is made by macros in the code, and its order says nothing more. Else 0.
uint64_t size_of_entries_about_code(const Atoms& atoms, const Section& section) {
  const uint64_t size = regular_entry_size(section);
  std::pair<uint32_t, int64_t> last = {0, 0};
  for (const Relocation& relocation : section.relocations) {
    if (size == 0 || relocation.offset % size != 0) continue;
    const Reference reference = atoms.resolve(section, relocation);
    if (reference.atom == nullptr || !reference.atom->is_function()) return 0;
    const std::pair place(reference.atom->section->index,
                          static_cast<int64_t>(reference.atom->entry) + reference.offset);
    if (place < last) return 0;
    last = place;
  }
  return size;
}

// By section that is not known, or is one of what is registered, its bytes that no symbol names,
// and what they refer to (a PCI quirk is assembly without a name). What its symbols name is
// compared as data or code.
Entries unnamed_entries(const Atoms& atoms) {
  Entries entries;
  for (const Atom& atom : atoms.all()) {
    const Section& section = *atom.section;
    const SectionRule* rule = section_rule(section.name);
    if (atom.symbol != nullptr) continue;
    if (rule != nullptr && (rule->use != SectionUse::Registered || section.is_strings())) continue;
    const bool is_whole = atom.offset == 0 && atom.end() == section.size;
    const uint64_t regular = !is_whole         ? 0
                             : rule != nullptr ? size_of_registered(section)
                                               : size_of_entries_about_code(atoms, section);
    const uint64_t size = regular != 0 ? regular : std::max<uint64_t>(atom.size, 1);
    for (uint64_t at = atom.offset; at < atom.end(); at += size)
      entries[section.name].insert(entry_text(atoms, section, at, std::min(at + size, atom.end())));
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

// What an entry of entry_text() refers to last, or the entry: that of a PCI quirk is its function.
std::string name_of_entry(const std::string& entry) { return entry.substr(entry.rfind(':') + 1); }

void judge_registered(Judgement& j, const std::string& section, const std::string& name,
                      bool is_new) {
  const SectionRule& rule = *section_rule(section);
  if (is_new)
    j.refuse("registration_changed", section, name,
             fmt::format("{} is new in {}: {}, which the kernel reads once, at its start or when "
                         "the module is loaded",
                         name, section, rule.what),
             "leave it out of the patch; code that needs what it names can be called from a "
             "ksplice_apply hook, and a parameter keeps its first value");
  else
    j.notes.push_back(fmt::format("{} in {} is gone from the source, and stays as it is: {}", name,
                                  section, rule.what));
}

void judge_named(Judgement& j, const DataDiff& data) {
  const SectionRule* rule = section_rule(data.section);
  if (rule == nullptr && data.status != DiffStatus::Changed) {
    refuse_unknown(j, data.section, data.name, verb(data.status));
  } else if (rule == nullptr) {
    return;  // refused as changed data
  } else if (rule->use == SectionUse::Registered && data.status == DiffStatus::New) {
    judge_registered(j, data.section, data.name, true);
  } else if (data.status == DiffStatus::Removed && data.section != ".BTF_ids" &&
             (rule->use == SectionUse::Registered || rule->use == SectionUse::Judged)) {
    judge_registered(j, data.section, data.name, false);
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
  each_difference(unnamed_entries(j.context.pre), unnamed_entries(j.context.post),
                  [&](const std::string& section, const std::string& entry, bool is_new) {
                    if (section_rule(section) != nullptr)
                      judge_registered(j, section, name_of_entry(entry), is_new);
                    else if (told.insert(section).second)
                      refuse_unknown(j, section, "what is", "changed");
                  });
}

}  // namespace ksplice
