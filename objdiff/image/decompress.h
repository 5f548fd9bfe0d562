// Takes the kernel's ELF file out of a bzImage (vmlinuz).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace ksplice {

// Whether the file is an x86 bzImage: "HdrS" at 0x202 (Documentation/arch/x86/boot.rst).
bool is_bzimage(std::span<const uint8_t> file);

// The compressed payload of a bzImage. Throws Error("bad_image") if the header is of a version
// without payload fields (before 2.08) or they point outside the file.
std::span<const uint8_t> bzimage_payload(std::span<const uint8_t> file, const std::string& name);

// Decompresses gzip, bzip2, lzma, xz, lz4 (the old frame, as the kernel uses) or zstd, told by its
// magic. Throws Error("bad_image") naming the file, the format and the fault.
std::vector<uint8_t> decompress(std::span<const uint8_t> data, const std::string& name);

// The same for a bzImage's payload. The kernel's build appends the size of the result as four bytes
// (gzip ends with them anyhow), which must agree.
std::vector<uint8_t> decompress_payload(std::span<const uint8_t> payload, const std::string& name);

}  // namespace ksplice
