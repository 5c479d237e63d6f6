#include "torus/base/sentence.h"

#include <doctest/doctest.h>

#include <string>

using namespace rse;

TEST_CASE("sentence: only sentences may reach a terminal: UTF-8 as it should be, without control characters") {
  for (const char* good : {"", "b has died", "k\xC3\xBC""che: torus B", "\xE2\x86\x92", "\xF0\x9F\x94\xA5", "\xEF\xBF\xBD"}) {
    CAPTURE(good);
    CHECK(is_sentence(good));
  }
  for (const char* bad : {"\x1B[31m", "two\nlines", "\x7F", "\xC2\x9B", "\x80", "\xC3", "a\xC3", "\xC0\xAF", "\xE0\x80\x80", "\xE2\x86",
                          "\xED\xA0\x80", "\xF0\x80\x80\x80", "\xF4\x90\x80\x80", "\xF8\x88\x80\x80\x80", "\xE2\x28\xA1"}) {
    CAPTURE(bad);
    CHECK_FALSE(is_sentence(bad));
  }
  CHECK_FALSE(is_sentence(std::string_view("a\0b", 3)));
}

TEST_CASE("sentence: one that is too long is cut between two characters") {
  const std::string whole = "ab\xE2\x86\x92\xC3\xBC";
  const char* const cut[] = {"", "a", "ab", "ab", "ab", "ab\xE2\x86\x92", "ab\xE2\x86\x92", "ab\xE2\x86\x92\xC3\xBC", "ab\xE2\x86\x92\xC3\xBC"};
  for (std::size_t size = 0; size < std::size(cut); ++size) {
    CAPTURE(size);
    std::string text = whole;
    cut_sentence(text, size);
    CHECK(text == cut[size]);
  }
}
