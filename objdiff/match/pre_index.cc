#include "objdiff/match/pre_index.h"

#include <elf.h>

#include <algorithm>
#include <cctype>

#include "objdiff/base/error.h"

namespace ksplice {

std::string Entity::name() const {
  if (!symbols.empty()) return symbols.front()->name;
  return section == nullptr ? "?" : section->name + "+" + std::to_string(begin);
}

std::string normal_name(const std::string& name) {
  std::string result;
  size_t at = 0;
  if (name.rfind("__UNIQUE_ID_", 0) == 0) {
    // __UNIQUE_ID_ddebug557.3: the number is __COUNTER__'s.
    size_t end = name.find('.');
    if (end == std::string::npos) end = name.size();
    size_t digits = end;
    while (digits > 0 && std::isdigit(static_cast<unsigned char>(name[digits - 1]))) digits--;
    result = name.substr(0, digits) + "#";
    at = end;
  }
  while (at < name.size()) {
    result += name[at++];
    if (result.back() != '.') continue;
    size_t end = at;
    while (end < name.size() && std::isdigit(static_cast<unsigned char>(name[end]))) end++;
    if (end > at && (end == name.size() || name[end] == '.')) {
      result += '#';
      at = end;
    }
  }
  return result;
}

bool is_merged(const Section& section) { return (section.flags & SHF_MERGE) != 0; }

PreIndex::PreIndex(const Object& object, const KernelSeries* series)
    : object_(object), series_(series) {
  for (const std::unique_ptr<Section>& section : object.sections)
    if (section->is_alloc() && !is_merged(*section)) split_section(*section);
  for (const std::unique_ptr<Symbol>& symbol : object.symbols) {
    if (symbol->section != nullptr || symbol->type == STT_FILE) continue;
    Entity entity;
    entity.kind = symbol->is_undefined() ? Entity::Kind::Undefined : Entity::Kind::Absolute;
    entity.symbols.push_back(symbol.get());
    entities_.push_back(entity);
    by_symbol_[symbol.get()] = &entities_.back();
  }
  read_tables();
}

// Cuts a section at the symbols that have a size; what is between them has no name.
void PreIndex::split_section(const Section& section) {
  std::vector<const Symbol*> symbols;
  for (const std::unique_ptr<Symbol>& symbol : object_.symbols)
    if (symbol->section == &section && !symbol->is_section() && symbol->type <= STT_FUNC)
      symbols.push_back(symbol.get());
  std::stable_sort(symbols.begin(), symbols.end(), [](const Symbol* a, const Symbol* b) {
    if (a->value != b->value) return a->value < b->value;
    if (a->is_function() != b->is_function()) return a->is_function();
    return a->size > b->size;
  });
  std::vector<const Entity*>& list = by_section_[&section];
  auto add = [&](Entity::Kind kind, uint64_t begin, uint64_t end) -> Entity& {
    Entity entity;
    entity.kind = kind;
    entity.section = &section;
    entity.begin = begin;
    entity.end = end;
    entities_.push_back(entity);
    list.push_back(&entities_.back());
    return entities_.back();
  };
  Entity::Kind unnamed = section.is_exec() ? Entity::Kind::Code : Entity::Kind::Data;
  uint64_t at = 0;
  Entity* last = nullptr;
  for (size_t i = 0; i < symbols.size(); i++) {
    const Symbol* symbol = symbols[i];
    if (last != nullptr && symbol->value == last->begin) {
      last->symbols.push_back(symbol);
      by_symbol_[symbol] = last;
      continue;
    }
    if (last != nullptr && symbol->value < last->end) {  // a label inside
      by_symbol_[symbol] = last;
      continue;
    }
    if (symbol->value > at) add(unnamed, at, symbol->value);
    uint64_t end = symbol->value + symbol->size;
    if (symbol->size == 0) {  // to the next symbol
      end = section.size;
      for (size_t j = i + 1; j < symbols.size(); j++)
        if (symbols[j]->value > symbol->value) {
          end = symbols[j]->value;
          break;
        }
    }
    end = std::min(end, section.size);
    Entity::Kind kind = symbol->is_function() ? Entity::Kind::Function : unnamed;
    last = &add(kind, symbol->value, end);
    last->symbols.push_back(symbol);
    by_symbol_[symbol] = last;
    at = end;
  }
  if (at < section.size || list.empty()) add(unnamed, at, section.size);
}

const Entity* PreIndex::entity_of(const Symbol* symbol) const {
  auto found = by_symbol_.find(symbol);
  return found == by_symbol_.end() ? nullptr : found->second;
}

const Entity* PreIndex::entity_at(const Section* section, uint64_t offset) const {
  auto found = by_section_.find(section);
  if (found == by_section_.end() || found->second.empty()) return nullptr;
  const std::vector<const Entity*>& list = found->second;
  // Pointers before the first and behind the last object (arr[-1], end of array) belong to these.
  if (static_cast<int64_t>(offset) < 0) return list.front();
  auto after = std::upper_bound(list.begin(), list.end(), offset,
                                [](uint64_t value, const Entity* e) { return value < e->begin; });
  if (after == list.begin()) return list.front();
  const Entity* entity = *(after - 1);
  // The padding behind an object: a pointer there is one to its end.
  if (entity->symbols.empty() && entity->begin == offset && after - 1 != list.begin() &&
      entity->kind == Entity::Kind::Data && offset != 0 && entity->end - entity->begin < 64)
    return *(after - 2);
  return entity;
}

PreTarget PreIndex::resolve(const Relocation& relocation, const Instruction* code) const {
  PreTarget target;
  int64_t offset = relocation.addend;
  if (code != nullptr && reloc_is_pc_relative(relocation.type))
    offset += static_cast<int64_t>(code->end() - relocation.offset);
  const Symbol* symbol = relocation.symbol;
  if (symbol == nullptr) return target;
  if (symbol->section == nullptr) {
    target.entity = entity_of(symbol);
    target.offset = offset;
    return target;
  }
  // A physical address: the offset is out of all proportion.
  int64_t unbiased = offset + static_cast<int64_t>(KernelMap);
  if (offset > (int64_t{1} << 30) && unbiased >= -4096 && unbiased < (int64_t{1} << 30)) {
    offset = unbiased;
    target.bias = static_cast<int64_t>(KernelMap);
  }
  int64_t place = static_cast<int64_t>(symbol->value) + offset;
  if (is_merged(*symbol->section)) {
    // The linker moves a section symbol's addend with the content that it leads to, but adds that
    // of a named symbol to where the symbol's content is.
    target.merged = symbol->section;
    target.offset = symbol->is_section() ? place : static_cast<int64_t>(symbol->value);
    target.beyond = place - target.offset;
    return target;
  }
  target.entity = symbol->is_section() ? entity_at(symbol->section, static_cast<uint64_t>(place))
                                       : entity_of(symbol);
  if (target.entity != nullptr) target.offset = place - static_cast<int64_t>(target.entity->begin);
  return target;
}

}  // namespace ksplice
