// System.map: read, and compared with the image it is said to belong to.
#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/image/run_image.h"

namespace ksplice {

SystemMap read_system_map(const std::string& path) {
  SystemMap map;
  std::istringstream text(read_text(path));
  std::string line;
  for (unsigned number = 1; std::getline(text, line); number++) {
    if (line.empty()) continue;
    // "ffffffff81000000 T _text"; Debian's stub has a sentence for a name.
    RunSymbol symbol;
    size_t digits = line.find_first_not_of("0123456789abcdef");
    if (digits == 0 || digits > 16 || digits == std::string::npos || line.size() < digits + 4 ||
        line[digits] != ' ' || line[digits + 2] != ' ')
      throw Error("bad_system_map", fmt::format("{}:{}: is no line of a System.map: \"{}\"", path,
                                                number, line.substr(0, 60)));
    symbol.addr = std::stoull(line.substr(0, digits), nullptr, 16);
    symbol.type = line[digits + 1];
    symbol.name = line.substr(digits + 3);
    map.symbols.push_back(std::move(symbol));
  }
  bool has_text = std::any_of(map.symbols.begin(), map.symbols.end(), [](const RunSymbol& symbol) {
    return symbol.name == "_text" || symbol.name == "_stext";
  });
  map.is_stub = !has_text && map.symbols.size() < 100;
  return map;
}

std::string check_system_map(const SystemMap& map, const RunImage& image) {
  if (map.is_stub)
    return "it is a stub without symbols (the real one is in the distribution's debug package); "
           "the "
           "image's own symbols are used";
  std::multimap<std::string, const RunSymbol*> by_name;
  for (const RunSymbol& symbol : map.symbols) by_name.emplace(symbol.name, &symbol);
  size_t common = 0, different = 0;
  std::string evidence;
  for (const RunSymbol& symbol : map.symbols) {
    if (by_name.count(symbol.name) != 1) continue;
    const RunSymbol* run = image.unique_symbol(symbol.name);
    if (run == nullptr) continue;
    common++;
    if (run->addr == symbol.addr) continue;
    different++;
    if (evidence.empty())
      evidence = fmt::format("{} is at {:#x} in it, but at {:#x} in {}", symbol.name, symbol.addr,
                             run->addr, image.path);
  }
  if (different != 0)
    return fmt::format("it belongs to another kernel: {} ({} of {} common symbols differ)",
                       evidence, different, common);
  if (common < 100)
    return fmt::format("it belongs to another kernel: only {} of its {} symbols are in {}", common,
                       map.symbols.size(), image.path);
  return "";
}

}  // namespace ksplice
