#include "objdiff/object/section_rules.h"

#include <algorithm>

namespace ksplice {

namespace {

using enum SectionUse;

constexpr bool Whole = true;
constexpr bool Split = false;

constexpr SectionRule Rules[] = {
    // Start and exit. Before the prefixes of what lives on.
    {".init.setup", Start, Split, "an option of the kernel's command line"},
    {".initcall*", Start, Whole, "an initcall"},
    {".con_initcall*", Start, Split, "an initcall of a console"},
    {".exitcall*", Start, Split, "an exitcall"},
    {".init.*", Start, Split, "start code or data"},
    {".init_array*", Start, Split, "a constructor"},
    {".ctors*", Start, Split, "a constructor"},
    {".exit.*", Start, Split, "exit code or data"},
    {".head.text", Start, Split, "boot code"},
    {".meminit.*", Start, Split, "start code or data"},
    {".memexit.*", Start, Split, "exit code or data"},
    {".devinit.*", Start, Split, "start code or data"},
    {".cpuinit.*", Start, Split, "start code or data"},
    {".x86_cpu_dev*", Start, Split, "a processor's vendor"},
    {".x86_intel_mid_dev*", Start, Split, "a platform"},
    {".data..init*", Start, Split, "start data"},
    {".text..init*", Start, Split, "start code"},
    {".noinit.*", Start, Split, "start data"},
    {"__init_rodata", Start, Split, "start data"},
    {".lsm_info.init", Start, Split, "a security module"},
    {".early_lsm_info.init", Start, Split, "a security module"},
    {".apicdrivers", Registered, Split, "an APIC driver"},
    {".iommu_table", Registered, Split, "an IOMMU"},
    {".builtin_fw", Registered, Split, "built-in firmware"},
    {"__clk_of_table*", Registered, Split, "a clock driver"},
    {"__irqchip_of_table*", Registered, Split, "an interrupt controller"},
    {"__timer_of_table*", Registered, Split, "a timer driver"},
    {"__cpu_method_of_table*", Registered, Split, "a way to start processors"},
    {"__cpuidle_method_of_table*", Registered, Split, "an idle driver"},
    {"__reservedmem_of_table*", Registered, Split, "a reserved memory"},
    {"__earlycon_table*", Registered, Split, "an early console"},
    {"__earlycon_of_table*", Registered, Split, "an early console"},
    {"__thermal_table_*", Registered, Split, "a thermal governor"},
    {"__governor_thermal_table*", Registered, Split, "a thermal governor"},
    {"__timer_acpi_probe_table", Registered, Split, "an ACPI driver"},
    {"__irqchip_acpi_probe_table", Registered, Split, "an ACPI driver"},

    // Read once.
    {"__param", Registered, Split, "a module parameter"},
    {"__modver", Registered, Split, "a version in /sys/module"},
    {".pci_fixup*", Registered, Split, "a PCI quirk"},
    {"__syscalls_metadata", Registered, Split, "the description of a system call"},
    {"__syscall_*", Registered, Split, "the description of a system call"},
    {"___srcu_struct_ptrs", Registered, Split, "an SRCU structure"},
    {".kunit*", Registered, Split, "a test suite"},
    {"__dyndbg_classes", Registered, Split, "a class of debug messages"},
    {"_ftrace_eval_map", Judged, Split, "a constant of trace events"},
    {"_ftrace_*", Judged, Split, "a trace event"},
    {"__tracepoints_ptrs", Judged, Whole, "a tracepoint"},
    {"__tracepoints*", Judged, Split, "a tracepoint"},
    {"__bpf_raw_tp*", Judged, Split, "a tracepoint"},
    {".BTF_ids", Judged, Split, "a BTF id"},
    {"__ksymtab*", Judged, Whole, "an export"},
    {"___ksymtab*", Judged, Whole, "an export"},
    {".export_symbol", Judged, Whole, "an export"},
    {"__kcrctab*", Judged, Whole, "an export's CRC"},
    {"___kcrctab*", Judged, Whole, "an export's CRC"},
    {"__kflagstab", Judged, Whole, "an export's licence"},  // 7.x
    {"___kflagstab*", Judged, Whole, "an export's licence"},
    {".static_call_tramp_key", Told, Whole, "a static call that modules may find"},

    // Said to others.
    {".modinfo", Told, Whole, "a line of module information"},
    {"_error_injection_whitelist", Told, Whole, "a function in which errors may be injected"},
    {"_kprobe_blacklist", Entries, Whole, "a function without kprobes"},
    {"__tracepoint_str", Told, Split, "a string for tools that read traces"},
    {".printk_index", Link, Whole, "a format of printk"},

    // Carried with code.
    {".altinstructions", Entries, Whole, ""},
    {".altinstr_replacement", Entries, Whole, ""},
    {".altinstr_aux", Entries, Whole, ""},
    {".parainstructions", Entries, Whole, ""},
    {".smp_locks", Entries, Whole, ""},
    {"__ex_table", Entries, Whole, ""},
    {"__bug_table", Entries, Whole, ""},
    {"__jump_table", Entries, Whole, ""},
    {"__mcount_loc", Entries, Whole, ""},
    {"__patchable_function_entries", Entries, Whole, ""},
    {".kcfi_traps", Entries, Whole, ""},
    {"runtime_ptr_*", Entries, Whole, ""},
    {"runtime_shift_*", Entries, Whole, ""},
    {"runtime_mask_*", Entries, Whole, ""},  // 7.x
    {".discard.addressable", Link, Whole, ""},
    {".discard.*", Entries, Whole, ""},
    {".fixup", Entries, Whole, ""},
    {"__dyndbg", Content, Split, "a debug message"},
    {"__verbose", Content, Split, "a debug message"},
    {"alloc_tags", Content, Split, "an allocation's tag"},
    {".codetag.*", Content, Split, "an allocation's tag"},
    {"__lockdep*", Content, Split, ""},

    // Made by objtool.
    {".orc_*", Objtool, Whole, ""},
    {".static_call_sites", Objtool, Whole, ""},
    {".retpoline_sites", Objtool, Whole, ""},
    {".return_sites", Objtool, Whole, ""},
    {".call_sites", Objtool, Whole, ""},
    {".ibt_endbr_seal", Objtool, Whole, ""},
    {".cfi_sites", Objtool, Whole, ""},

    // For the linker, the loader, debuggers.
    {".note*", Link, Whole, ""},
    {".comment", Link, Whole, ""},
    {".debug_*", Link, Whole, ""},
    {".eh_frame*", Link, Whole, ""},
    {".sframe", Link, Whole, ""},
    {"__tracepoint_check", Link, Whole, ""},  // names of used ones, read by the build of 7.x
    {".BTF", Link, Whole, ""},
    {".BTF.*", Link, Whole, ""},
    {".llvm*", Link, Whole, ""},
    {"__kcfi*", Link, Split, ""},
    {".gnu.linkonce.this_module", Link, Whole, ""},
    {".gnu.linkonce*", Link, Split, ""},
    {".gnu.version*", Link, Split, ""},
    {"__versions", Link, Whole, ""},
    {"__version_ext_*", Link, Whole, ""},
    {".symtab*", Link, Whole, ""},
    {".strtab", Link, Whole, ""},
    {".shstrtab", Link, Whole, ""},
    {".group", Link, Whole, ""},
    {".rela*", Link, Whole, ""},
    {".plt*", Link, Split, ""},
    {".got*", Link, Split, ""},
    {".addrsig", Link, Split, ""},

    // Code and data.
    {".text*", Content, Split, ""},
    {".noinstr.text", Content, Split, ""},
    {".sched.text", Content, Split, ""},
    {".cpuidle.text", Content, Split, ""},
    {".spinlock.text", Content, Split, ""},
    {".kprobes.text", Content, Split, ""},
    {".irqentry.text", Content, Split, ""},
    {".softirqentry.text", Content, Split, ""},
    {".entry.text", Content, Split, ""},
    {".static_call.text", Content, Split, ""},
    {".ref.*", Content, Split, ""},
    {".data*", Content, Split, ""},
    {".rodata*", Content, Split, ""},
    {".bss*", Content, Split, ""},
    {".sdata*", Content, Split, ""},
    {".sbss*", Content, Split, ""},
    {".brk*", Content, Split, ""},
    {".vvar*", Content, Split, ""},
    {".ksplice.*", Link, Split, "a hook"},
    {".tracedata", Content, Split, ""},
};

bool fits(std::string_view rule, std::string_view name) {
  if (!rule.ends_with('*')) return rule == name;
  rule.remove_suffix(1);
  return name.starts_with(rule);
}

}  // namespace

const SectionRule* section_rule(std::string_view name) {
  // Of a function or datum by its own name: ".meminit.text.foo" is one, ".foo.init.text" is, too.
  static constexpr SectionRule Init = {"*.init.text", Start, Split, "start code or data"};
  auto rule = std::find_if(std::begin(Rules), std::end(Rules),
                           [&](const SectionRule& each) { return fits(each.name, name); });
  if (rule != std::end(Rules)) return rule;
  return name.ends_with(".init.text") || name.ends_with(".init.data") ? &Init : nullptr;
}

std::string_view describe(SectionUse use) {
  switch (use) {
    case Content:
      return "compared and carried by function and datum";
    case Entries:
      return "carried with the code that its entries are about";
    case Objtool:
      return "made again by objtool";
    case Start:
      return "refused when changed: it was used at start";
    case Judged:
      return "refused when changed, by a judge of its own";
    case Registered:
      return "refused when something is new: it was read at start";
    case Told:
      return "a note when changed";
    case Link:
      return "for the linker, the loader and debuggers";
  }
  return "";
}

}  // namespace ksplice
