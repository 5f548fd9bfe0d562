// The tarball ksplice-ID.tar.gz: its one format description, reader and writer (libarchive). In: an
// update as values, or a file from anybody. Out: the same the other way round. Of create/, apply/
// uses this alone; it knows neither stages nor objects.
//
//   ksplice-ID/manifest.json
//   ksplice-ID/manifest.json.p7s             optional: its signature (signature.h)
//   ksplice-ID/patch                         the source patch as given
//   ksplice-ID/objects/RELEASE/ksplice.ko    the core for that kernel
//   ksplice-ID/objects/RELEASE/ksplice.final.json
//   ksplice-ID/objects/RELEASE/TARGET.ko     update module of a target (ksplice_ID_TARGET)
//   ksplice-ID/objects/RELEASE/TARGET.final.json   finalization (objdiff/update/update_object.h)
//   ksplice-ID/objects/RELEASE/cold/TARGET.ko   optional: the whole module with the patch in it
//   ksplice-ID/PATH.vcdiff                   in place of PATH: a delta against another file
//
// manifest.json: {"format":1, "id", "description", "created", "tool", "allow_busy":[..],
// "notes":[..], "left_out_patches":[{"patch","code","why"}], "kernels":[{"release",
// "build_id", "arch":"x86_64", "core":{"file","final"}, "targets":[{"name",
// "module":"ksplice_ID_vmlinux", "file", "final", "build_id",
// "functions":[{"name","unit","status","reasons":[...]}], "added":[..],
// "cold":{"file","build_id"}, "stands_on":[{"id","module","build_id"}],
// "uses":[..], "given_away":[..], "kept":true}]}],
// "files":[{"path","size","sha256","delta":{"base","size","sha256"}}]}. "files" lists every file
// except the manifest and its signature. "delta", where it is there, says that the tarball holds
// not the file but what makes it (delta.h) from the file "base", which is there as it is; its size
// and sha256 are the delta's, those beside "path" are the file's. "stands_on" is left out where it
// is empty. "uses" names modules of the same update, of targets before this one; left out where it
// is empty. "left_out_patches" names the patches of the series that "patch" lacks, each with the
// code of the refusal that it was left out for and its reason in a line; "code" is "chosen" where
// the user left it out. It is left out where nothing is missing; readers that do not know it apply
// the update as well. "given_away" says which addresses in the update may be in live memory after
// an undo, a sentence each, and "kept" that the undo therefore keeps the update module; left out
// where there is nothing. "generation" (a number, at first 0) and "expires" (UTC,
// "2026-11-30T07:28:00Z") are for hosts that trust only what is signed (apply/trust.h); each is
// left out where it was not given.
// "cves":["CVE-2024-1234",..] and "upstream_commits":["40 hex",..] say what the patch fixes, as its
// head or its maker says; left out where nothing is known.
//
// The signature is over the bytes of manifest.json, which has the checksums of everything else. Its
// file is not listed, as it is made when the list is done. A manifest of format 3 says that it is
// signed: so a reader that could not verify a signature says that it is too old, instead of
// stumbling over a file, and taking the signature away makes no unsigned tarball, but a bad one.
//
// The format is the lowest that a reader must know: 3 with a signature, 2 with deltas, 1 without.
// Readers refuse: unknown format, files not listed, missing files, wrong sizes or checksums,
// absolute paths, "..", links, anything that is not a plain file or folder, more than one top
// folder; a delta in format 1, a signature in
// a format below 3 and none in 3; a delta whose base is missing or is a delta itself, and one that
// makes other bytes than the manifest says.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "objdiff/arch/arch.h"

namespace ksplice {

struct PackageFunction {
  std::string name, unit, status;  // status: changed, new
  nlohmann::json reasons = nlohmann::json::array();
};

// An update whose code this one replaces, or whose functions or data it uses.
struct PackageLower {
  std::string id;
  std::string module, build_id;  // its update module for the target
};

struct PackageTarget {
  std::string name;         // "vmlinux" or module
  std::string module;       // name of the update module
  std::string file, final;  // paths in the package, below the top folder
  std::string build_id;     // of the target
  // The whole module with the patch in it, for loading later (--build-modules); or empty.
  std::string cold_file, cold_build_id;
  std::vector<PackageFunction> functions;
  std::vector<std::string> added;
  std::vector<PackageLower> stands_on;
  // Update modules of targets before it that its code uses: they must be there first.
  std::vector<std::string> uses;
  std::vector<std::string> given_away;  // sentences
  bool kept = false;                    // undo keeps the module in memory
};

// A patch of the series that the update does without.
struct PackageLeftOut {
  std::string patch, code, why;
};

struct PackageKernel {
  std::string release, build_id, arch = std::string(ArchName);
  std::string core_file, core_final;
  std::vector<PackageTarget> targets;
};

struct Package {
  std::string id, description, created, tool;
  uint64_t generation = 0;
  int64_t expires = 0;                        // seconds since 1970; 0: never
  std::vector<std::string> cves;              // "CVE-2024-1234"
  std::vector<std::string> upstream_commits;  // 40 hex digits
  std::vector<std::string> allow_busy;        // functions that tasks may be in at the switch
  std::vector<std::string> notes;             // what its maker consented to
  std::vector<PackageLeftOut> left_out_patches;
  std::vector<PackageKernel> kernels;
  std::map<std::string, std::vector<uint8_t>>
      files;  // path below the top folder -> contents, without manifest.json and its signature
  // As it was read: the bytes of manifest.json, and the signature, empty if there is none.
  std::string manifest;
  std::vector<uint8_t> signature;
};

constexpr int PackageFormat = 3;

// Makes the signature of the manifest's text.
using Sign = std::function<std::vector<uint8_t>(const std::string&)>;

// Is id usable as an update id: 1 to 40 characters of a-z 0-9 _ .
bool is_valid_id(const std::string& id);

// "CVE-YEAR-" and 4 to 7 digits.
bool is_cve(const std::string& text);

// Writes DIR/ksplice-ID.tar.gz beside and renames it into place; returns its path. Same package,
// same bytes. Files of further kernels become deltas where that is worth it. With sign, it is
// signed; package.manifest and package.signature are not looked at.
std::string write_package(const Package& package, const std::string& directory,
                          const Sign& sign = {});

// Reads and checks everything in the list above. Throws Error("bad_tarball") naming the entry and
// the reason. content, if given, gets the bytes that were read: the file may be another one a
// moment later.
Package read_package(const std::string& path, std::vector<uint8_t>* content = nullptr);

}  // namespace ksplice
