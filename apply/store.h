// The copies of applied tarballs: /var/lib/ksplice/updates/ID/ksplice-ID.tar.gz, or below
// /run/ksplice where /var/lib cannot be written. For ksplice-view, which shows the patch, for
// modules that come later, and for the next boot, if a record beside it says so (wanted.h); what is
// applied is known by the kernel alone (kernel_updates.h). A copy that is there is whole: it is
// written beside and renamed into place.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apply/host.h"

namespace ksplice {

// Copies the file; returns where to, or nothing if no place takes it (why then says so).
std::optional<std::string> store_copy(const Host& host, const std::string& id,
                                      const std::vector<uint8_t>& tarball, std::string& why);

constexpr const char* WantedFile = "wanted.json";  // its name beside the copy

// Where the copy that outlives a boot is, or would be, and the ids that have a folder for one.
// Throws Error("bad_state") if the folders cannot be read: what is in them is then not known.
std::filesystem::path lasting_copy(const Host& host, const std::string& id);
std::vector<std::string> list_lasting(const Host& host);

// Path of the copy, or empty if there is none.
std::string find_copy(const Host& host, const std::string& id);

// The ids of which there is a copy, in order.
std::vector<std::string> list_copies(const Host& host);

// Removes the copy and what interrupted writes left beside it. Returns whether something was there.
bool remove_copy(const Host& host, const std::string& id);

// The copy as it was before another one was stored, for an update that could not be applied: what
// is wanted at boot goes by its bytes.
class EarlierCopy {
 public:
  EarlierCopy(const Host& host, const std::string& id);
  void put_back() const;  // or remove the new one, if there was none

 private:
  const Host& host_;
  std::string id_;
  std::filesystem::path file_;  // empty: there was none
  std::vector<uint8_t> content_;
};

}  // namespace ksplice
