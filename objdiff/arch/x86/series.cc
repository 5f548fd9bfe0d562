#include "objdiff/arch/series.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "objdiff/base/error.h"

namespace ksplice {

namespace {

// struct alt_instr: u16 cpuid until 6.2, then s32 with ALT_FLAG_* in its upper half (6.3,
// 5d1dd961e743).
constexpr AlternativeLayout Alternative12 = {12, 2}, Alternative14 = {14, 4};

// ALT_FLAG_DIRECT_CALL, bit 1 of the flags: what .parainstructions said until 6.7 (6.8,
// 60bc276b129e).
constexpr uint32_t DirectCall = uint32_t{1} << 17;

// gen_endbr_poison(): nopw (%rax) since 5.18, nopl -42(%rax) since 6.15.
constexpr std::array<uint8_t, 4> SealedPad = {0x66, 0x0f, 0x1f, 0x00};
constexpr std::array<uint8_t, 4> SealedPadUdb = {0x0f, 0x1f, 0x40, 0xd6};

// struct bug_entry (include/asm-generic/bug.h): s32 code, s32 file, u16 line, u16 flags; without
// CONFIG_DEBUG_BUGVERBOSE s32 code, u16 flags. HAVE_ARCH_BUG_FORMAT (6.19) puts s32 format behind
// code, and HAVE_ARCH_BUG_FORMAT_ARGS (6.19) has BUGFLAG_ARGS.
constexpr std::array<BugLayout, 2> Bugs = {{{12, 10, 0}, {8, 4, 0}}};
constexpr std::array<BugLayout, 2> BugsWithFormat = {{{16, 14, 4}, {12, 8, 4}}};
constexpr uint16_t BugArgs = 1 << 4;

constexpr KernelSeries Table[] = {
    {"6.1", Alternative12, 0, SealedPad, Bugs, 0},
    {"6.12", Alternative14, DirectCall, SealedPad, Bugs, 0},
    {"7.3", Alternative14, DirectCall, SealedPadUdb, BugsWithFormat, BugArgs},
};

// Of kernels 4.19 to 7.3; struct names in the comments.
constexpr TableFormat Formats[] = {
    {"__bug_table", {12, 16, 8, 24}, {1, 3}},    // bug_entry: verbose, with format, terse, absolute
    {".altinstructions", {14, 12, 13}, {2, 2}},  // alt_instr: 6.3 ff., 5.12 to 6.2, before
    {".parainstructions", {16}},                 // paravirt_patch_site, until 6.7
    {".smp_locks", {4}},                         // s32
    {"__ex_table", {12}, {2, 3}},                // exception_table_entry
    {"__jump_table", {16, 24}, {3, 3}},          // jump_entry: relative, absolute
    {".static_call_sites", {8}, {2, 2}},         // static_call_site
    {".retpoline_sites", {4}},                   // s32, as all from objtool
    {".return_sites", {4}},
    {".call_sites", {4}},
    {".ibt_endbr_seal", {4}},
    {".cfi_sites", {4}},
    {".kcfi_traps", {4}},
    {"runtime_*", {4}},  // s32, one section a constant (asm/runtime-const.h, 6.11)
    {"__mcount_loc", {8}},
    {"__patchable_function_entries", {8}},
    {".orc_unwind_ip", {4}},
};

bool is_of_series(std::string_view release, std::string_view name) {
  if (!release.starts_with(name)) return false;
  return release.size() == name.size() || release[name.size()] == '.' ||
         release[name.size()] == '-';
}

}  // namespace

const KernelSeries& get_series(std::string_view release) {
  for (const KernelSeries& series : Table)
    if (is_of_series(release, series.name)) return series;
  std::vector<std::string_view> names;
  for (const KernelSeries& series : Table) names.push_back(series.name);
  Refusal refusal;
  refusal.code = "unknown_series";
  refusal.object = release;
  refusal.message =
      fmt::format("kernel {} is of a series that this tool was not tested with", release);
  refusal.expected = fmt::format("a kernel of series {}", fmt::join(names, " or "));
  refusal.found = release;
  refusal.advice =
      "what a kernel rewrites in its own code differs between series, and is not guessed: use a "
      "kernel of a series that is known, or a newer version of this tool";
  throw Refused({refusal});
}

const AlternativeLayout* find_alternative_layout(uint64_t size) {
  auto found = std::find_if(std::begin(Table), std::end(Table), [&](const KernelSeries& series) {
    return series.alternatives.size == size;
  });
  return found == std::end(Table) ? nullptr : &found->alternatives;
}

std::span<const TableFormat> table_formats() { return Formats; }

}  // namespace ksplice
