// The functions of wit/component.wit. A gateway makes tools of them; nothing here knows of any.

#include "component.h"

#include <ctype.h>

static uint64_t words_of(const component_string_t *text) {
  uint64_t words = 0;
  bool within = false;
  for (size_t at = 0; at < text->len; at++) {
    bool space = isspace(text->ptr[at]);
    words += !space && !within;
    within = !space;
  }
  return words;
}

bool exports_local_component_reading_reading_time(component_string_t *text, uint16_t *maybe_words_per_minute,
                                                  exports_local_component_reading_estimate_t *ret, component_string_t *err) {
  uint64_t pace = maybe_words_per_minute ? *maybe_words_per_minute : 200;
  uint64_t words = words_of(text);
  component_string_free(text);
  if (words == 0) {
    // For the model: what was wrong, and what would be right.
    component_string_dup(err, "The text has no words: give one that has.");
    return false;
  }
  if (pace == 0) {
    component_string_dup(err, "Nobody reads no words in a minute: give a pace of 1 or more.");
    return false;
  }
  ret->words = words;
  ret->seconds = (words * 60 + pace - 1) / pace;
  return true;
}
