// A tool is an entry in `list_tools` and a branch in `call_tool`. Arguments, schemas and structured results are JSON text.

#include "gatehouse.h"

#include <ctype.h>
#include <stdio.h>

static const char *READING_TIME_TAKES =
    "{\"type\":\"object\",\"properties\":{"
    "\"text\":{\"type\":\"string\",\"description\":\"The text. The user is asked for it where it is left out.\"},"
    "\"words_per_minute\":{\"type\":\"integer\",\"minimum\":50,\"maximum\":2000,\"default\":200,"
    "\"description\":\"How many words the reader takes in a minute.\"}"
    "},\"additionalProperties\":false}";

// What the user is asked for.
static const char *A_TEXT = "{\"type\":\"object\",\"properties\":{\"text\":{\"type\":\"string\"}},\"required\":[\"text\"]}";

static const char *READING_TIME_GIVES =
    "{\"type\":\"object\",\"properties\":{"
    "\"words\":{\"type\":\"integer\",\"minimum\":0},"
    "\"seconds\":{\"type\":\"integer\",\"minimum\":0,\"description\":\"How long it takes to read them, rounded up.\"}"
    "},\"required\":[\"words\",\"seconds\"]}";

static bool reading_time(const exports_gatehouse_tool_tools_call_t *call, const char *arguments, outcome_t *ret,
                         exports_gatehouse_tool_tools_failure_t *err) {
  size_t length = 0;
  char *text = json_string(arguments, "text", &length);
  if (!text) {
    bool done = false;
    char *form = ask(call, "text", "Which text is to be read?", A_TEXT, ret, err, &done);
    if (!form) return done;
    text = json_string(form, "text", &length);
    free(form);
  }
  double pace = json_number(arguments, "words_per_minute", 200);
  unsigned long long words = 0;
  bool within = false;
  for (size_t at = 0; text && at < length; at++) {
    bool space = isspace((unsigned char)text[at]);
    words += !space && !within;
    within = !space;
  }
  free(text);
  report(1, 1, "counted");
  if (words == 0) {
    // For the model: what was wrong, and what would be right.
    return tool_error(ret, "The text has no words: give one that has.");
  }
  char line[128];
  snprintf(line, sizeof line, "counted %llu words", words);
  write_log(GATEHOUSE_HOST_LOG_LEVEL_INFO, line);
  unsigned long long whole = (unsigned long long)pace;
  snprintf(line, sizeof line, "{\"words\":%llu,\"seconds\":%llu}", words, (words * 60 + whole - 1) / whole);
  return structured(ret, line);
}

bool exports_gatehouse_tool_tools_list_tools(exports_gatehouse_tool_tools_list_tool_t *ret, tool_plugin_string_t *err) {
  (void)err;
  ret->len = 1;
  ret->ptr = calloc(ret->len, sizeof *ret->ptr);
  describe(&ret->ptr[0], "reading_time", "Counts the words of a text and tells how long a person takes to read them.",
           READING_TIME_TAKES, READING_TIME_GIVES);
  return true;
}

bool exports_gatehouse_tool_tools_call_tool(exports_gatehouse_tool_tools_call_t *call, outcome_t *ret,
                                            exports_gatehouse_tool_tools_failure_t *err) {
  char *arguments = terminated(&call->arguments);
  bool done = false;
  if (is(&call->tool, "reading_time")) {
    done = reading_time(call, arguments, ret, err);
  } else {
    err->tag = GATEHOUSE_TOOL_TOOL_TYPES_FAILURE_UNKNOWN_NAME;
  }
  free(arguments);
  exports_gatehouse_tool_tools_call_free(call);
  return done;
}
