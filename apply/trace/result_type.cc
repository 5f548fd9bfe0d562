#include "apply/trace/result_type.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fmt/core.h>
#include <string.h>

#include "apply/trace/trace_abi.h"

namespace ksplice {

namespace {

constexpr int64_t MaxError = 4095;  // MAX_ERRNO, include/linux/err.h

const btf_type* skip_names(const btf* types, uint32_t id) {
  const btf_type* type = btf__type_by_id(types, id);
  while (type != nullptr && (btf_is_mod(type) || btf_is_typedef(type) || btf_is_type_tag(type)))
    type = btf__type_by_id(types, type->type);
  return type;
}

ResultType describe(const btf* types, uint32_t id) {
  ResultType result;
  if (id == 0) return {.is_known = true, .is_void = true, .size = 0};
  const btf_type* type = skip_names(types, id);
  if (type == nullptr) return result;
  if (btf_is_void(type)) return {.is_known = true, .is_void = true, .size = 0};
  if (btf_is_ptr(type)) return {.is_known = true, .is_pointer = true};
  const bool is_enum = btf_is_any_enum(type);
  if ((!btf_is_int(type) && !is_enum) || type->size > sizeof(uint64_t)) return result;
  result.is_known = true;
  result.size = type->size;
  result.is_signed = is_enum ? btf_kflag(type) : (btf_int_encoding(type) & BTF_INT_SIGNED) != 0;
  return result;
}

std::string error_text(int64_t value) {
  const char* name = ::strerrorname_np(static_cast<int>(-value));
  return name == nullptr ? fmt::format("{}", value) : fmt::format("{} ({})", value, name);
}

bool is_error(int64_t value) { return value < 0 && value >= -MaxError; }

}  // namespace

ResultType result_type(const btf* types, const std::string& function) {
  ResultType found;
  // A module's types go on where those of the kernel, on which they stand, end.
  const btf* base = btf__base_btf(types);
  for (uint32_t id = base == nullptr ? 1 : btf__type_cnt(base); id < btf__type_cnt(types); ++id) {
    const btf_type* type = btf__type_by_id(types, id);
    if (!btf_is_func(type) || function != btf__name_by_offset(types, type->name_off)) continue;
    const btf_type* prototype = btf__type_by_id(types, type->type);
    if (prototype == nullptr || !btf_is_func_proto(prototype)) return {};
    const ResultType each = describe(types, prototype->type);
    if (found.is_known && !(each == found)) return {};
    found = each;
  }
  return found;
}

// Where there are none, libbpf would say so on standard error, before the code of an error.
KernelTypes::KernelTypes() {
  libbpf_set_print(nullptr);
  vmlinux_ = btf__load_vmlinux_btf();
}

KernelTypes::~KernelTypes() { btf__free(vmlinux_); }

void KernelTypes::look(const std::string& module, const std::string& function,
                       const std::function<void(const btf*)>& body) const {
  // The compiler's copies are no functions of the source: they may take and return something else.
  if (vmlinux_ == nullptr || function.find('.') != std::string::npos) return body(nullptr);
  if (module == "vmlinux") return body(vmlinux_);
  const std::unique_ptr<btf, decltype(&btf__free)> types(
      btf__load_module_btf(module.c_str(), vmlinux_), btf__free);
  body(types.get());
}

ResultType KernelTypes::result_of(const std::string& module, const std::string& function) const {
  ResultType result;
  look(module, function, [&](const btf* types) {
    if (types != nullptr) result = result_type(types, function);
  });
  return result;
}

Tripwire KernelTypes::tripwire(const std::string& module, const std::string& function,
                               const std::string& condition) const {
  Tripwire result;
  look(module, function,
       [&](const btf* types) { result = make_tripwire(types, function, condition); });
  return result;
}

std::string result_text(const ResultType& type, int64_t value) {
  if (type.is_pointer) {
    if (value == 0) return "NULL";
    return is_error(value) ? error_text(value) : "a pointer";
  }
  if (type.is_known)
    return type.is_signed && is_error(value) ? error_text(value)
           : type.is_signed                  ? fmt::format("{}", value)
                                             : fmt::format("{}", static_cast<uint64_t>(value));
  if (is_error(value)) return error_text(value);
  // All eight bytes are shown; of an int the upper ones are no part.
  const int64_t low = static_cast<int32_t>(value);
  const uint64_t all = static_cast<uint64_t>(value);
  if (all >> 32 == 0 && is_error(low))
    return fmt::format("{}, or as an int {}", all, error_text(low));
  return value < 0 ? fmt::format("{:#x}", all) : fmt::format("{}", value);
}

}  // namespace ksplice
