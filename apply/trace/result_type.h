// What a function returns, as the kernel's own types (BTF) say, and what a returned value means.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "apply/trace/tripwire.h"

struct btf;

namespace ksplice {

struct ResultType {
  bool is_known = false;
  bool is_void = false, is_pointer = false, is_signed = false;
  unsigned size = 8;  // bytes
  bool operator==(const ResultType&) const = default;
};

// Of the function in types; is_known is false if they have it not, or with several types.
ResultType result_type(const btf* types, const std::string& function);

// The types of the running kernel, and of its modules; it may have none.
class KernelTypes {
 public:
  KernelTypes();
  KernelTypes(const KernelTypes&) = delete;
  KernelTypes& operator=(const KernelTypes&) = delete;
  ~KernelTypes();
  bool are_there() const { return vmlinux_ != nullptr; }
  ResultType result_of(const std::string& module, const std::string& function) const;
  // Throws Error("bad_condition").
  Tripwire tripwire(const std::string& module, const std::string& function,
                    const std::string& condition) const;

 private:
  // With the types that may have the function; nullptr: there are none.
  void look(const std::string& module, const std::string& function,
            const std::function<void(const btf*)>& body) const;
  btf* vmlinux_ = nullptr;
};

// "-22 (EINVAL)", "NULL", "a pointer", "17". Value is as the BPF programs keep it: of the type's
// size; of a pointer that is neither NULL nor an error, TRACE_A_POINTER.
std::string result_text(const ResultType& type, int64_t value);

}  // namespace ksplice
