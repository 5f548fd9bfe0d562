// Every stable code of an error or a refusal (D12), in one place. The words are part of the
// interface: of the JSON, of --raw-errors, of scripts. Those of the original Ksplice keep their
// meaning.
#pragma once

#include <string_view>

namespace ksplice {

struct Code {
  std::string_view word;
  std::string_view meaning;
};

inline constexpr Code Codes[] = {
    // of the original
    {"ok", "aborted for a reason that is not known"},
    {"no_match", "the running code is not what our compiler made of the given source"},
    {"code_busy", "a function to be replaced stayed on the stack of some task"},
    {"module_busy", "another module uses the update"},
    {"out_of_memory", "the kernel ran out of memory"},
    {"failed_to_find", "a symbol that the update needs could not be found"},
    {"already_reversed", "the update was applied and reversed; unload its modules first"},
    {"missing_export", "an exported symbol differs from what was expected"},
    {"unexpected_running_task", "the stack check met a task that should not run"},
    {"unexpected", "an internal error of the kernel part"},
    {"target_not_loaded", "a module to be patched is not loaded"},
    {"call_failed", "a hook of the update refused"},
    {"cold_update_loaded",
     "a module was loaded with the patch in it, which an undo does not reach"},
    {"bad_system_map", "the System.map given is not that of the kernel image"},
    {"wrong_type", "a type or constant of the source is not the one that the kernel has"},
    // of the differ
    {"data_changed", "the initial value of existing data changed"},
    {"data_resized", "an existing object grew or shrank"},
    {"ambiguous_data", "which of several static variables of one name is meant cannot be told"},
    {"data_moved", "an existing object moved to another class of memory"},
    {"init_changed", "code or data that is only used at start or exit changed"},
    {"init_needed", "new code uses new data that only start code sets up"},
    {"always_busy", "some task is always in a function to be replaced"},
    {"no_ftrace_site", "a function to be replaced cannot be redirected"},
    {"assembly", "assembly code changed"},
    {"export_added", "something is exported that was not"},
    {"export_changed", "an export was removed, or has another license or type"},
    {"type_changed", "the layout or the values of a type that live objects have changed"},
    {"alias_changed", "a name leads to another function or object than before"},
    {"global_moved", "a global name leads to a definition in another unit than before"},
    {"state_lost", "a variable has another name or place now, and would begin anew"},
    {"moved_differs",
     "the original source gives other functions with the line numbers of the patch"},
    {"tracepoint_changed", "a tracepoint or trace event was added or changed"},
    {"registration_changed", "something is new that is registered only at start or loading"},
    {"unknown_section", "a section of unknown meaning refers to new code"},
    {"unresolved_branch", "a branch leads out of a function and cannot reach the running kernel"},
    {"unnamed_data", "new code refers to data that cannot be found in the running kernel"},
    {"inner_address", "something that stays leads into the middle of a function to be replaced"},
    {"sealed_function", "new code takes the address of a function without a landing pad"},
    {"init_code", "new code uses a function that is freed after boot"},
    {"init_data", "new code uses data that is freed after boot"},
    {"static_key", "a static key lies where the loader cannot update it"},
    {"static_call", "a static call lies where the loader cannot update it"},
    // of ksplice-create
    {"bad_patch", "a patch cannot be read, names files outside the source, or is binary"},
    {"patch_failed", "the patch does not apply to the source"},
    {"already_in_source", "the source has the patch already"},
    {"needs_patch", "a patch of a series needs one that is left out"},
    {"no_change", "no changes detected: nothing in the kernel's code changes"},
    {"unsupported_file", "a changed file is code that no update can reach"},
    {"compile_failed", "a unit does not compile with the patch"},
    {"pre_build_failed", "a unit does not compile even without the patch"},
    {"moved_failed", "a unit does not compile without the patch with its line numbers"},
    {"prepare_failed", "kbuild cannot be made ready for the source and configuration"},
    {"module_failed", "kbuild cannot link the modules of the update"},
    {"wrong_source", "the source is not of the version that the kernel was built from"},
    {"unknown_series", "the kernel is of a series that this tool was not tested with"},
    {"wrong_toolchain", "the compiler is not the one that built the kernel"},
    {"no_compiler", "no compiler is installed that could have built the kernel"},
    {"bad_root", "the root directory with the compilers cannot be used"},
    {"root_failed", "the root directory cannot be made from the archive"},
    {"bad_config", "the configuration directory is incomplete or of several kernels"},
    {"bad_source", "SOURCE is not the source of a kernel"},
    {"source_changed", "a file of SOURCE was changed while the update was being made"},
    {"bad_cache", "kbuild cannot work below the path of the cache"},
    {"target_not_found", "a module to be patched has no file in the configuration directory"},
    {"no_kernel", "every kernel of a fleet refused the update"},
    {"no_modules", "the update holds no whole modules to write out"},
    // of the host
    {"bad_tarball", "the tarball is damaged, hostile, or of an unknown format"},
    {"wrong_kernel", "the update is for another kernel than the running one"},
    {"wrong_module", "a module to be patched is another build than the update is for"},
    {"wrong_core", "the kernel part that is loaded is another build than the update's"},
    {"needs_update", "an update that this one was made on top of is missing"},
    {"wrong_update", "an update that this one was made on top of is another build here"},
    {"id_in_use", "another update with the same id is applied, or stays in memory"},
    {"unknown_update", "there is no update of that id"},
    {"conflict", "somebody else redirects a function of the update"},
    {"ftrace_off", "the function tracer is switched off"},
    {"load_failed", "the kernel does not load a module"},
    {"signature_required", "the kernel loads only signed modules, or none"},
    {"tool_busy", "another ksplice tool is changing the kernel and does not end"},
    {"not_permitted", "only root can do this"},
    // of everything
    {"failed", "something else went wrong"},
    {"no_space", "a disk is full"},
    {"interrupted", "a signal came"},
    {"internal", "a mistake in Ksplice itself"},
    {"bad_file", "a file is damaged or of the wrong kind"},
    {"bad_image", "a kernel image cannot be understood"},
    {"usage", "the command line makes no sense"},
};

}  // namespace ksplice
