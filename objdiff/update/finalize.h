// Fills in, on the host, what an update module or the core could not know when it was linked: run
// addresses of this boot. Works on the bytes of the .ko, in place; nothing is laid out again.
//
// A symbol of the list is absolute (SHN_ABS) and 0 in the .ko; its st_value becomes the run
// address, and the kernel's loader relocates against it like against any other symbol. A field of
// the list lies in the section .ksplice.bytes (the expected run bytes, see update_object.h) and is
// overwritten with the value that the running kernel must have there.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "objdiff/update/update_object.h"

namespace ksplice {

// The address on this boot of a location; throws if the host does not tell it.
using HostAddresses = std::function<uint64_t(const RunLocation&)>;

// Returns the bytes of ko with all of finalization filled in. Throws Error("bad_file") if the two
// do not belong together: a listed symbol that is not there exactly once as an absolute one, an
// absolute symbol with value 0 that is not listed, a relocation without a symbol (strip makes
// them), a field outside .ksplice.bytes; and Error("unexpected") if a value does not fit in its
// field.
std::vector<uint8_t> finalize_module(std::span<const uint8_t> ko, const Finalization& finalization,
                                     const HostAddresses& addresses);

// The build id that the kernel shows of a module when it is loaded; empty if it has none.
std::string module_build_id(std::span<const uint8_t> ko);

// A function that an update module redirects: its plain name, and the absolute symbol that stands
// for the entry of the body it replaces. The plain name alone may be that of statics of other
// units.
struct ReplacedFunction {
  std::string name, symbol;
};
// In the module's order. Throws Error("bad_file") if its tables are not those of an update module.
std::vector<ReplacedFunction> replaced_functions(std::span<const uint8_t> ko);

// Returns the bytes of ko with nr_objects of its ksplice_update_object (ksplice_abi.h) set: the
// number of update modules of one update depends on the targets that this host has loaded.
std::vector<uint8_t> set_object_count(std::span<const uint8_t> ko, uint32_t count);

}  // namespace ksplice
