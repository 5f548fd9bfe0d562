// What patches say that they fix.
#include "create/fixes.h"

#include <gtest/gtest.h>

namespace ksplice {
namespace {

using Words = std::vector<std::string>;

const std::string First(40, 'a'), Second(40, 'b');

TEST(Fixes, ClaimsOfAStablePatch) {
  const Fixes fixes = find_fixes(
      {"From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\n"
       "Subject: [PATCH] net: do not read behind the packet\n (CVE-2024-26642)\n\n"
       "commit " +
       First +
       " upstream.\n\n"
       "This is like CVE-2019-11477, but shorter. commit " +
       Second +
       " brought it.\n\n"
       "Fixes: 123456789012 (\"net: fix CVE-2001-0001\")\n---\n"
       "--- a/net/x.c\n+++ b/net/x.c\n@@ -1 +1 @@\n-/* CVE-2000-0001 */\nCVE: CVE-2000-0002\n"});
  EXPECT_EQ(fixes.cves, Words{"CVE-2024-26642"});
  EXPECT_EQ(fixes.commits, Words{First});
  EXPECT_EQ(fixes.mentioned, (Words{"CVE-2001-0001", "CVE-2019-11477"}));
}

TEST(Fixes, Fields) {
  for (const char* line :
       {"CVE: CVE-2024-1234", "Bug: https://security-tracker.debian.org/tracker/CVE-2024-1234",
        "Bug-Debian: CVE-2024-1234", "Fixes: CVE-2024-1234", "CVE-2024-1234", "  CVE-2024-1234,",
        "Description: fix CVE-2024-1234 in x", "Resolves: CVE-2024-1234"})
    EXPECT_EQ(find_fixes({std::string(line) + "\n"}).cves, Words{"CVE-2024-1234"}) << line;
  for (const char* line : {"see CVE-2024-1234", "Link: https://example.org/CVE-2024-1234",
                           "Reported-by: CVE-2024-1234 <x@example.org>", "CVE: CVE-2024-123",
                           "CVE: CVE-24-12345", "CVE: CVE-2024-12345678", "XCVE-2024-1234"})
    EXPECT_EQ(find_fixes({std::string(line) + "\n"}).cves, Words{}) << line;
}

TEST(Fixes, UpstreamCommits) {
  for (const std::string& line :
       {"[ Upstream commit " + First + " ]", "commit " + First + " upstream",
        "(cherry picked from commit " + First + ")",
        "Origin: https://git.kernel.org/linus/" + First})
    EXPECT_EQ(find_fixes({line + "\n"}).commits, Words{First}) << line;
  for (const std::string& line : {"commit " + First, "commit " + First + "0 upstream",
                                  "This reverts commit " + First + ".", First})
    EXPECT_EQ(find_fixes({line + "\n"}).commits, Words{}) << line;
}

TEST(Fixes, OfASeries) {
  const Fixes fixes =
      find_fixes({"CVE-2024-2222\ncommit " + Second + " upstream.\ndiff --git a b\n",
                  "CVE-2024-1111\nCVE-2024-2222\n", "mentions CVE-2024-1111 and CVE-2024-3333\n"});
  EXPECT_EQ(fixes.cves, (Words{"CVE-2024-1111", "CVE-2024-2222"}));
  EXPECT_EQ(fixes.commits, Words{Second});
  EXPECT_EQ(fixes.mentioned, Words{"CVE-2024-3333"});
}

}  // namespace
}  // namespace ksplice
