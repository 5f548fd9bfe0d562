// What comes from outside is text in a page, whatever bytes it has.
#include "objdiff/base/html.h"

#include <gtest/gtest.h>

namespace ksplice {
namespace {

TEST(Html, EscapesMarkup) {
  EXPECT_EQ(escaped("</pre><a href=\"x\">&amp;"),
            "&lt;/pre&gt;&lt;a href=&quot;x&quot;&gt;&amp;amp;");
  EXPECT_EQ(escaped("tab\tline\n\xc3\xa4 \xf0\x9f\x8c\xb1"),
            "tab\tline\n\xc3\xa4 \xf0\x9f\x8c\xb1");
}

TEST(Html, ReplacesWhatIsNoText) {
  const std::string sign = "\xef\xbf\xbd";
  EXPECT_EQ(escaped(std::string("a\0b\x1b[31m\x7f", 9)), "a" + sign + "b" + sign + "[31m" + sign);
  EXPECT_EQ(escaped("\xff<\xc3"), sign + "&lt;" + sign);   // none, and cut off
  EXPECT_EQ(escaped("\xc0\xbc"), sign + sign);             // '<', too long
  EXPECT_EQ(escaped("\xed\xa0\x80"), sign + sign + sign);  // half a surrogate pair
  EXPECT_EQ(escaped("\xe2\x82<"), sign + sign + "&lt;");
}

TEST(Html, ReplacesWhatHidesText) {
  const std::string sign = "\xef\xbf\xbd";
  for (const char* hidden : {"\xc2\x80", "\xc2\x9b", "\xc2\x9f", "\xe2\x80\xaa", "\xe2\x80\xae",
                             "\xe2\x81\xa6", "\xe2\x81\xa9"})
    EXPECT_EQ(escaped(std::string("a") + hidden + "b"), "a" + sign + "b");
  for (const std::string shown :
       {"\xc2\xa0", "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\xa5", "\xe2\x81\xaa"})
    EXPECT_EQ(escaped(shown), shown);
}

TEST(Html, TitleIsTheFirstHeading) {
  const std::string head = html_head("a <b>", "p{}");
  EXPECT_TRUE(head.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"));
  EXPECT_NE(head.find("<title>a &lt;b&gt;</title>"), std::string::npos);
  EXPECT_TRUE(head.ends_with("<h1>a &lt;b&gt;</h1>\n"));
}

}  // namespace
}  // namespace ksplice
