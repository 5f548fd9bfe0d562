// The functions that the running kernel has, by name and by address (/proc/kallsyms).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "apply/host.h"

namespace ksplice {

class SymbolTable {
 public:
  // text: as /proc/kallsyms; of it only code is kept, and of what shares a name and an address one.
  explicit SymbolTable(std::string text);
  SymbolTable(const SymbolTable&) = delete;
  SymbolTable& operator=(const SymbolTable&) = delete;

  // By address. Those of the name in the module ("vmlinux": in none; empty: anywhere).
  std::vector<Kallsym> find(std::string_view name, std::string_view module = {}) const;
  // The parts and copies that the compiler made of a function under names of their own:
  // NAME.isra.0, NAME.constprop.0, NAME.part.0; but for NAME.cold, which is no function.
  std::vector<Kallsym> find_parts(std::string_view name, std::string_view module = {}) const;
  // The symbol that addr lies in or behind; nullptr before the first.
  const Kallsym* at(uint64_t addr) const;
  // "seq_read_iter+0xf7", "helper+0x4 [ext4]", or the number.
  std::string text(uint64_t addr) const;
  bool is_hidden() const { return hidden_; }  // the kernel shows no addresses

 private:
  std::string text_;
  std::vector<Kallsym> symbols_;  // by address
  bool hidden_ = false;
};

}  // namespace ksplice
