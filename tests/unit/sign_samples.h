// Keys and certificates for tests, made by openssl as a user would.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace ksplice {

// FOLDER/NAME.key and .cert, for CN=NAME; how: of openssl's -newkey ("rsa:2048", "ec:prime256v1").
inline std::string make_key(const std::filesystem::path& folder, const std::string& name,
                            const std::string& how = "rsa:2048",
                            const std::string& more = "-days 30") {
  std::string kind = how;
  if (how.starts_with("ec:")) kind = "ec -pkeyopt ec_paramgen_curve:" + how.substr(3);
  const std::string command = "cd '" + folder.string() +
                              "' && umask 077 && openssl req -x509 -sha256 -nodes -newkey " + kind +
                              " " + more + " -subj /CN=" + name + " -keyout " + name +
                              ".key -out " + name + ".cert 2>log";
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
  return name;
}

}  // namespace ksplice
