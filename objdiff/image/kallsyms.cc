// Finds the kallsyms tables in .rodata by their shape and decodes them.
//
// scripts/kallsyms.c writes these tables, each aligned to 8 (or 4) bytes:
//   up to 6.1    offsets  relative_base  num_syms  names  markers  token_table  token_index
//   6.2, 6.3     the same, with seqs_of_names between markers and token_table
//   from 6.4     num_syms  names  markers  token_table  token_index  offsets  relative_base  seqs
//   7.3 the same without relative_base: an offset is relative to its own place
// (The order is no matter of the series: 6.1.192 has the seqs, too.)
// A name is a length (one byte, or two since 6.1 where bit 7 is set) and that many token numbers; a
// token stands for one to many characters. The first character of a name is the type letter.
// markers[k] is the offset of name 256*k in names.
//
// Method: the digits are always tokens of their own, so the token table has "0\0" "1\0" ... "9\0"
// in a row. The token index (256 offsets) must agree with the strings of the table; this leaves no
// room for a false hit. The markers are the only ascending run before it; num_syms is where names
// of that number walk exactly to the markers, through every one of them. Offsets are tried where
// either order has them; the sortedness of the addresses and their base decide. Nothing is accepted
// half.
#include "objdiff/image/kallsyms.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "objdiff/arch/arch.h"
#include "objdiff/base/bytes.h"
#include "objdiff/base/error.h"

namespace ksplice {
namespace {

struct Tokens {
  uint64_t begin = 0;  // of token_table
  uint64_t end = 0;    // of token_index
  std::array<std::string_view, 256> text;
};

struct Names {
  uint64_t count = 0;
  uint64_t count_at = 0;  // of num_syms
  uint64_t begin = 0;     // of names
  std::vector<std::string> text;
};

uint64_t align_up(uint64_t value, uint64_t align) { return (value + align - 1) & ~(align - 1); }

// The token index that belongs to a table whose token "0" is at digits, or nothing.
std::optional<Tokens> tokens_at(Bytes data, uint64_t digits) {
  // The table is about a kilobyte; its index follows it, so look at most that far ahead.
  uint64_t last = std::min(data.size() >= 512 ? data.size() - 512 : 0, digits + 4096);
  for (uint64_t at = align_up(digits, 4); at <= last; at += 4) {
    if (data.read<uint16_t>(at) != 0) continue;
    uint16_t zero = data.read<uint16_t>(at + 2 * '0');
    if (zero == 0 || zero > digits) continue;
    Tokens tokens;
    tokens.begin = digits - zero;
    tokens.end = at + 512;
    uint64_t expected = 0;
    bool good = true;
    for (unsigned i = 0; i < 256 && good; i++) {
      good = data.read<uint16_t>(at + 2 * i) == expected && tokens.begin + expected < at;
      if (!good) break;
      tokens.text[i] = data.c_string(tokens.begin + expected);
      expected += tokens.text[i].size() + 1;
    }
    if (good && tokens.begin + expected <= at && at - (tokens.begin + expected) < 8) return tokens;
  }
  return std::nullopt;
}

std::optional<Tokens> find_tokens(Bytes data) {
  static const uint8_t digits[] = {'0', 0, '1', 0, '2', 0, '3', 0, '4', 0,
                                   '5', 0, '6', 0, '7', 0, '8', 0, '9', 0};
  std::span<const uint8_t> all = data.span();
  for (auto from = all.begin();;) {
    auto hit = std::search(from, all.end(), std::begin(digits), std::end(digits));
    if (hit == all.end()) return std::nullopt;
    std::optional<Tokens> tokens = tokens_at(data, static_cast<uint64_t>(hit - all.begin()));
    if (tokens) return tokens;
    from = hit + 1;
  }
}

// The length of the name at *at, which is moved to its first token.
uint64_t name_length(Bytes data, uint64_t* at) {
  uint64_t length = data.read<uint8_t>((*at)++);
  if (length & 0x80)
    length = (length & 0x7f) | static_cast<uint64_t>(data.read<uint8_t>((*at)++)) << 7;
  return length;
}

// Walks count names from begin. True if every marker is met and the end is where the markers begin.
bool names_fit(Bytes data, uint64_t begin, uint64_t count, uint64_t markers) {
  uint64_t at = begin;
  for (uint64_t i = 0; i < count; i++) {
    if (i % 256 == 0 && data.read<uint32_t>(markers + i / 256 * 4) != at - begin) return false;
    if (at >= markers) return false;
    uint64_t length = name_length(data, &at);
    if (length < 2 || at + length > markers) return false;
    at += length;
  }
  return markers - at < 8;
}

// Tries every place for num_syms that the markers at this place allow.
std::optional<Names> names_before(Bytes data, uint64_t markers, uint64_t run) {
  uint64_t last = data.read<uint32_t>(markers + (run - 1) * 4);
  if (last + 16 > markers) return std::nullopt;
  uint64_t highest = markers - last;  // names start before this
  uint64_t lowest = highest > (128 << 10) ? highest - (128 << 10) : 16;
  for (uint64_t begin = highest & ~uint64_t{3}; begin >= lowest; begin -= 4) {
    for (uint64_t gap : {8, 4}) {
      uint64_t count = data.read<uint32_t>(begin - gap);
      if ((count + 255) / 256 != run) continue;
      if (gap == 8 && data.read<uint32_t>(begin - 4) != 0) continue;
      if (!names_fit(data, begin, count, markers)) continue;
      Names names;
      names.count = count;
      names.count_at = begin - gap;
      names.begin = begin;
      names.text.reserve(count);
      return names;
    }
  }
  return std::nullopt;
}

// The markers are the nearest ascending run that starts with 0 and for which the names work out.
std::optional<Names> find_names(Bytes data, const Tokens& tokens) {
  for (uint64_t at = tokens.begin & ~uint64_t{3}; at >= 32;) {
    at -= 4;
    if (data.read<uint32_t>(at) != 0 || at + 8 > tokens.begin) continue;
    uint64_t run = 1;
    uint32_t previous = 0;
    for (uint64_t next = at + 4; next + 4 <= tokens.begin; next += 4, run++) {
      uint32_t value = data.read<uint32_t>(next);
      // 256 names take at least two bytes each and at most a few kilobytes.
      if (value < previous + 512 || value > previous + 256 * 514) break;
      previous = value;
    }
    if (run < 4) continue;  // also skips what is not markers quickly; a kernel has hundreds
    std::optional<Names> names = names_before(data, at, run);
    if (!names) continue;
    uint64_t position = names->begin;
    for (uint64_t i = 0; i < names->count; i++) {
      uint64_t length = name_length(data, &position);
      std::string text;
      for (uint64_t j = 0; j < length; j++) text += tokens.text[data.read<uint8_t>(position + j)];
      position += length;
      names->text.push_back(std::move(text));
    }
    return names;
  }
  return std::nullopt;
}

// Addresses from offsets at this place and the base after them, or nothing if they cannot be it.
std::optional<std::vector<uint64_t>> addresses_at(Bytes data, uint64_t offsets, uint64_t count,
                                                  uint64_t base_at) {
  if (base_at + 8 > data.size() || offsets + 4 * count > base_at) return std::nullopt;
  uint64_t base = data.read<uint64_t>(base_at);
  if (base < KernelMap) return std::nullopt;
  // CONFIG_KALLSYMS_ABSOLUTE_PERCPU: an offset that is not negative is an absolute value, the
  // others count down from base - 1. Without it all are unsigned distances from the base.
  uint64_t negative = 0;
  for (uint64_t i = 0; i < count; i++)
    if (data.read<int32_t>(offsets + 4 * i) < 0) negative++;
  bool absolute_percpu = negative > count / 2;
  std::vector<uint64_t> result(count);
  for (uint64_t i = 0; i < count; i++) {
    int64_t offset = data.read<int32_t>(offsets + 4 * i);
    if (!absolute_percpu) {
      result[i] = base + static_cast<uint32_t>(offset);
    } else {
      result[i] =
          offset >= 0 ? static_cast<uint64_t>(offset) : base - 1 - static_cast<uint64_t>(offset);
    }
    if (i > 0 && result[i] < result[i - 1]) return std::nullopt;
  }
  return result;
}

// Whether each number below count is there once, in three bytes: the symbols in the order of their
// names.
bool is_sequence(Bytes data, uint64_t at, uint64_t count) {
  if (at > data.size() || 3 * count > data.size() - at) return false;
  std::vector<bool> seen(count);
  for (uint64_t i = 0; i < count; i++, at += 3) {
    const uint64_t number = uint64_t{data.read<uint8_t>(at)} << 16 |
                            uint64_t{data.read<uint8_t>(at + 1)} << 8 | data.read<uint8_t>(at + 2);
    if (number >= count || seen[number]) return false;
    seen[number] = true;
  }
  return true;
}

// Addresses from offsets, at this place of a section at addr, that are relative to themselves. No
// base tells that it is they, but the sequence that follows them.
std::optional<std::vector<uint64_t>> own_addresses_at(Bytes data, uint64_t addr, uint64_t offsets,
                                                      uint64_t count) {
  if (offsets > data.size() || 4 * count > data.size() - offsets) return std::nullopt;
  if (!is_sequence(data, align_up(offsets + 4 * count, 8), count) &&
      !is_sequence(data, align_up(offsets + 4 * count, 4), count))
    return std::nullopt;
  std::vector<uint64_t> result(count);
  for (uint64_t i = 0; i < count; i++) {
    const uint64_t at = offsets + 4 * i;
    result[i] = addr + at + static_cast<uint64_t>(int64_t{data.read<int32_t>(at)});
    if (result[i] < (i == 0 ? KernelMap : result[i - 1])) return std::nullopt;
  }
  return result;
}

std::optional<std::vector<uint64_t>> find_addresses(Bytes data, uint64_t addr, const Tokens& tokens,
                                                    const Names& names) {
  uint64_t size = 4 * names.count;
  // Old order: offsets end (up to alignment) where the base begins, 8 bytes before num_syms.
  for (uint64_t gap : {0, 4}) {
    if (names.count_at < 8 + gap + size) continue;
    uint64_t base_at = names.count_at - 8 - gap;
    for (uint64_t pad : {0, 4}) {
      if (base_at < size + pad) continue;
      auto found = addresses_at(data, base_at - size - pad, names.count, base_at);
      if (found) return found;
    }
  }
  for (uint64_t align : {8, 4}) {
    uint64_t offsets = align_up(tokens.end, align);
    auto found = addresses_at(data, offsets, names.count, align_up(offsets + size, 8));
    if (found) return found;
  }
  for (uint64_t align : {8, 4})
    if (auto found = own_addresses_at(data, addr, align_up(tokens.end, align), names.count))
      return found;
  return std::nullopt;
}

}  // namespace

std::vector<RunSymbol> decode_kallsyms(const RunSection& section, const std::string& name) {
  auto fail = [&](const std::string& what) -> Error {
    return Error("bad_image", fmt::format("{}: kallsyms in {}: {}", name, section.name, what),
                 "give a vmlinux with a symbol table instead of the boot image");
  };
  Bytes data(section.data, name);
  std::optional<Tokens> tokens = find_tokens(data);
  if (!tokens) throw fail("no token table found");
  std::optional<Names> names = find_names(data, *tokens);
  if (!names)
    throw fail(fmt::format("no table of names fits the token table at {:#x}",
                           section.addr + tokens->begin));
  std::optional<std::vector<uint64_t>> addresses =
      find_addresses(data, section.addr, *tokens, *names);
  if (!addresses) throw fail(fmt::format("no table of addresses for the {} names", names->count));

  std::vector<RunSymbol> symbols;
  symbols.reserve(names->count);
  for (uint64_t i = 0; i < names->count; i++) {
    const std::string& text = names->text[i];
    if (text.size() < 2 || !std::isalpha(static_cast<unsigned char>(text[0])))
      throw fail(fmt::format("name {} has no type letter: \"{}\"", i, text));
    symbols.push_back({text.substr(1), (*addresses)[i], 0, text[0]});
  }
  return symbols;
}

bool is_left_out_of_kallsyms(std::string_view name) {
  for (std::string_view part :
       {"kallsyms_addresses", "kallsyms_offsets", "kallsyms_relative_base", "kallsyms_num_syms",
        "kallsyms_names", "kallsyms_markers", "kallsyms_token_table", "kallsyms_token_index",
        "kallsyms_seqs_of_names"})
    if (name == part) return true;
  return false;
}

}  // namespace ksplice
