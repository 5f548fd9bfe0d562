// Whose updates this host takes, and which of theirs.
//
//   /etc/ksplice/trust.pem        certificates, one behind the other, each trusted by itself
//   /etc/ksplice/revoked          optional; a line each: "update ID", "manifest SHA256" (of
//                                 manifest.json) or "key SHA256" (of a certificate); # comments
//   /var/lib/ksplice/trust.json   {"generations":{SHA256 of a certificate: the highest applied}}
//
// Without the first nothing is checked, and the other two are not looked at. With it an update must
// have a good signature by one of the certificates, be neither expired nor revoked, and be of no
// lower generation than one that the same certificate's owner had applied here. The first two files
// and their folder must belong to root and be writable by nobody else.
//
// The time is that of the clock, or the one at which the update was made, if that is later: a host
// that wakes up in 1970 does not refuse a certificate as not valid yet.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "apply/host.h"
#include "create/package/package.h"
#include "create/package/signature.h"
#include "objdiff/base/error.h"

namespace ksplice {

constexpr const char* TrustFile = "/etc/ksplice/trust.pem";

struct Trust {
  std::vector<Certificate> certificates;
  std::set<std::pair<std::string, std::string>> revoked;  // {"update", ID}
  std::map<std::string, uint64_t> generations;            // by fingerprint
};

// Nothing if there is no trust file. Throws Error("bad_trust") if one of the files cannot be used.
std::optional<Trust> read_trust(const Host& host);

// What an update is looked at for. A module that comes late gets of an update what all others got
// when it was applied: that it has expired since, or that a newer one came, is no reason to leave
// the module unpatched. What is brought back at boot is, byte by byte, what was applied on this
// host before (wanted.h): of two updates that were applied in order, the newer one's generation
// does not keep the older one away. It may have expired since, though.
enum class Occasion { Apply, Boot, LateTarget };

struct TrustVerdict {
  Signer signer;                   // if the signature is good
  std::optional<Refusal> refusal;  // not_signed, bad_signature, unknown_signer, revoked, expired,
                                   // old_generation
};

TrustVerdict judge_trust(const Trust& trust, const Package& package, Occasion occasion,
                         int64_t now);

// The same for this host and now: the signer, or nothing without a trust file. Throws Refused, and
// Error("bad_trust").
std::optional<Signer> check_trust(const Host& host, const Package& package, Occasion occasion);

// The update's generation, noted as seen before anything changes, so that a host that cannot do so
// refuses; taken back by the destructor unless the update is in place.
class SeenGeneration {
 public:
  SeenGeneration(const Host& host, const Package& package, const std::optional<Signer>& signer);
  SeenGeneration(const SeenGeneration&) = delete;
  SeenGeneration& operator=(const SeenGeneration&) = delete;
  ~SeenGeneration();
  void keep() { is_kept_ = true; }

 private:
  std::filesystem::path file_;
  std::optional<std::string> before_;  // the file as it was
  bool is_kept_ = true;
};

}  // namespace ksplice
