#include "objdiff/object/object.h"

namespace ksplice {

Section* Object::find_section(const std::string& name) const {
  for (const std::unique_ptr<Section>& section : sections)
    if (section->name == name) return section.get();
  return nullptr;
}

Symbol* Object::find_symbol(const std::string& name) const {
  for (const std::unique_ptr<Symbol>& symbol : symbols)
    if (symbol->name == name && !symbol->is_undefined()) return symbol.get();
  return nullptr;
}

}  // namespace ksplice
