// The steps of laying out an image, shared by run_image.cc, lower_update.cc and tests only.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "objdiff/image/run_image.h"
#include "objdiff/object/object.h"

namespace ksplice {

// Where a module's parts are placed, and the symbols that it imports: in the top 2 GiB, as in the
// kernel, so that signed 32-bit fields hold any address.
constexpr uint64_t ModuleBase = 0xffffffffc0000000;
constexpr uint64_t ImportBase = 0xffffffffe0000000;
constexpr uint64_t ImportEnd = 0xffffffffff000000;
constexpr uint64_t ImportGap = uint64_t{1} << 16;

void apply_relocations(const Section& section, uint64_t addr, std::vector<uint8_t>& data,
                       const std::map<const Section*, uint64_t>& addrs,
                       const std::map<const Symbol*, uint64_t>& imports, const std::string& path);
void sort_sections(RunImage& image);
// Sorts the symbols, gives them sizes and makes by_name.
void index_symbols(RunImage& image);
std::string find_build_id(const Object& object);

}  // namespace ksplice
