// Good packages, and tarballs made by hand to be bad ones.
#pragma once

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>

#include "create/package/package.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"

namespace ksplice {

using Content = std::vector<uint8_t>;

inline Content bytes(std::string_view text) { return {text.begin(), text.end()}; }

inline Package example() {
  Package package;
  package.id = "abc12345";
  package.description = "drop packets to port 6688";
  package.created = "2024-01-02T03:04:05Z";
  package.tool = "ksplice 1.0.0";
  package.allow_busy = {"kauditd_thread", "worker.isra.0"};
  package.notes = {"kauditd_thread may be running at the switch"};
  PackageTarget target;
  target.name = "vmlinux";
  target.module = "ksplice_abc12345_vmlinux";
  target.file = "objects/6.1.0-50-cloud-amd64/vmlinux.ko";
  target.final = "objects/6.1.0-50-cloud-amd64/vmlinux.final.json";
  target.build_id = "0123456789abcdef0123456789abcdef01234567";
  target.functions = {{"tcp_v4_rcv", "net/ipv4/tcp_ipv4.o", "changed",
                       nlohmann::json::array({{{"kind", "code"}}})}};
  target.added = {"fresh"};
  PackageKernel kernel;
  kernel.release = "6.1.0-50-cloud-amd64";
  kernel.build_id = "0123456789abcdef0123456789abcdef01234567";
  kernel.core_file = "objects/6.1.0-50-cloud-amd64/ksplice.ko";
  kernel.core_final = "objects/6.1.0-50-cloud-amd64/ksplice.final.json";
  kernel.targets = {target};
  package.kernels = {kernel};
  package.files = {{"patch", bytes("--- a\n+++ b\n")},
                   {kernel.core_file, bytes("core")},
                   {kernel.core_final, bytes("{}")},
                   {target.file, Content(5000, 7)},
                   {target.final, bytes("{}")}};
  return package;
}

inline Content noise(size_t size) {
  std::mt19937 random(1);
  Content content(size);
  for (uint8_t& byte : content) byte = static_cast<uint8_t>(random());
  return content;
}

// Two more kernels, whose files resemble the first one's.
inline Package fleet() {
  Package package = example();
  Content code = noise(5000);
  package.files[package.kernels[0].targets[0].file] = code;
  for (const char* release : {"6.1.0-51-cloud-amd64", "6.1.0-52-cloud-amd64"}) {
    PackageKernel kernel = example().kernels[0];
    kernel.release = release;
    kernel.build_id.replace(38, 2, std::string(release + 6, 2));
    auto copy = [&](std::string& file) {
      const Content& content = package.files.at(file);
      file.replace(8, kernel.release.size(), kernel.release);
      package.files[file] = content;
    };
    copy(kernel.core_file);
    copy(kernel.core_final);
    copy(kernel.targets[0].file);
    copy(kernel.targets[0].final);
    package.files[kernel.targets[0].file][100] ^= 1;
    package.kernels.push_back(kernel);
  }
  return package;
}

// --- a tar file made by hand

struct TarEntry {
  std::string name;
  Content content = {};
  char type = '0';
  std::string link = "";
  uint64_t claimed = UINT64_MAX;  // size in the header, if not the real one
};

inline void add_entry(Content& tar, const TarEntry& entry) {
  char header[512] = {};
  std::memcpy(header, entry.name.data(), std::min<size_t>(entry.name.size(), 100));
  std::memcpy(header + 100, "0000644", 8);
  std::memcpy(header + 108, "0000000", 8);
  std::memcpy(header + 116, "0000000", 8);
  uint64_t size = entry.claimed == UINT64_MAX ? entry.content.size() : entry.claimed;
  std::snprintf(header + 124, 12, "%011llo", static_cast<unsigned long long>(size));
  std::memcpy(header + 136, "00000000000", 12);
  std::memset(header + 148, ' ', 8);
  header[156] = entry.type;
  std::memcpy(header + 157, entry.link.data(), entry.link.size());
  std::memcpy(header + 257, "ustar\00000", 8);
  unsigned sum = 0;
  for (unsigned char c : header) sum += c;
  std::snprintf(header + 148, 8, "%06o", sum);
  tar.insert(tar.end(), header, header + 512);
  tar.insert(tar.end(), entry.content.begin(), entry.content.end());
  tar.resize((tar.size() + 511) / 512 * 512);
}

inline Content gzip(const Content& data) {
  z_stream stream = {};
  deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
  Content result(deflateBound(&stream, data.size()) + 64);
  stream.next_in = const_cast<Bytef*>(data.data());
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = result.data();
  stream.avail_out = static_cast<uInt>(result.size());
  deflate(&stream, Z_FINISH);
  result.resize(stream.total_out);
  deflateEnd(&stream);
  return result;
}

inline Content gunzip(const Content& data) {
  z_stream stream = {};
  inflateInit2(&stream, 16 + MAX_WBITS);
  Content result(1 << 20);
  stream.next_in = const_cast<Bytef*>(data.data());
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = result.data();
  stream.avail_out = static_cast<uInt>(result.size());
  inflate(&stream, Z_FINISH);
  result.resize(stream.total_out);
  inflateEnd(&stream);
  return result;
}

class PackageTest : public testing::Test {
 protected:
  std::string path(const std::string& name) { return dir_.path() / name; }

  // The entries of a good tarball, for a test to spoil.
  std::vector<TarEntry> good_entries() { return entries_of(example()); }

  std::vector<TarEntry> entries_of(const Package& package) {
    Content tar = gunzip(read_file(write_package(package, dir_.path())));
    std::vector<TarEntry> entries;
    for (size_t at = 0; at + 512 <= tar.size() && tar[at] != 0;) {
      const char* header = reinterpret_cast<const char*>(tar.data() + at);
      TarEntry entry;
      entry.name = header;
      size_t size = std::strtoull(header + 124, nullptr, 8);
      entry.content.assign(tar.begin() + at + 512, tar.begin() + at + 512 + size);
      entries.push_back(entry);
      at += 512 + (size + 511) / 512 * 512;
    }
    return entries;
  }

  std::string pack(const std::vector<TarEntry>& entries) {
    Content tar;
    for (const TarEntry& entry : entries) add_entry(tar, entry);
    tar.resize(tar.size() + 1024);
    write_file(path("test.tar.gz"), gzip(tar));
    return path("test.tar.gz");
  }

  // The message with which the tarball is refused.
  std::string refusal(const std::string& file) {
    try {
      read_package(file);
    } catch (const Error& error) {
      EXPECT_EQ(error.code, "bad_tarball") << error.what();
      std::string text = error.what();
      EXPECT_EQ(text.rfind(file + ": ", 0), 0u) << text;
      return text.substr(std::min(text.size(), file.size() + 2));
    }
    return "accepted";
  }

  std::string refusal_with(const TarEntry& extra) {
    std::vector<TarEntry> entries = good_entries();
    entries.push_back(extra);
    return refusal(pack(entries));
  }

  // Refusal after one replacement in the manifest's text.
  std::string refusal_of_manifest(const std::string& from, const std::string& to,
                                  const Package& package = example()) {
    std::vector<TarEntry> entries = entries_of(package);
    std::string text(entries[0].content.begin(), entries[0].content.end());
    size_t place = text.find(from);
    EXPECT_NE(place, std::string::npos) << from << " in\n" << text;
    if (place != std::string::npos) text.replace(place, from.size(), to);
    entries[0].content = bytes(text);
    return refusal(pack(entries));
  }

  TempDir dir_;
};

constexpr const char* SecondCode = "objects/6.1.0-51-cloud-amd64/vmlinux.ko";
constexpr const char* ThirdCode = "objects/6.1.0-52-cloud-amd64/vmlinux.ko";

}  // namespace ksplice
