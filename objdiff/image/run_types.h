// The types of a run image, from its BTF (Documentation/bpf/btf.rst), and the proof that what an
// object was compiled from has the same ones. Run-pre matching compares code that is there; a
// member or a constant that new code is the first to use shows in no such code. The only user of
// libbpf.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "objdiff/base/error.h"
#include "objdiff/image/run_image.h"
#include "objdiff/object/dwarf.h"

namespace ksplice {

class RunTypes {
 public:
  // kernel: the types of vmlinux if image is a module, which may use them; must outlive this.
  // Throws Error("bad_image") if the image has BTF that cannot be read.
  explicit RunTypes(const RunImage& image, const RunTypes* kernel = nullptr);
  ~RunTypes();
  RunTypes(RunTypes&&) noexcept;

  // Whether the image has BTF (CONFIG_DEBUG_INFO_BTF, for modules CONFIG_DEBUG_INFO_BTF_MODULES).
  bool present() const;
  // Those of the name "struct foo", "union foo" or of a typedef of an unnamed one ("Node"); units
  // may have private ones of one name.
  std::vector<TypeLayout> layouts(const std::string& name) const;
  // The values of all enumerators of that name.
  std::set<int64_t> values(const std::string& enumerator) const;
  // Whether a BTF id in a set or list of the image or the kernel is the function's: BPF programs
  // may call it (a kfunc), or are told apart by it.
  bool has_id_of(const std::string& function) const;

 private:
  struct Data;
  std::unique_ptr<Data> data_;
};

// Compares structures, unions and enumerators in the debug information of pre, and of post (null:
// none) as far as its headers declare them, with those of the image that was compiled from the same
// source. A type of which the image has none says nothing. Refuses with wrong_type.
std::optional<Refusal> check_types(const Object& pre, const Object* post, const RunTypes& run);

// BPF programs call a kfunc as the kernel's BTF declares it, and it was written when the kernel was
// linked. Refuses those of functions (names) whose parameters or result differ between pre and
// post, with export_changed.
std::vector<Refusal> check_ids(const Object& pre, const Object& post,
                               const std::vector<std::string>& functions, const RunTypes& run);

}  // namespace ksplice
