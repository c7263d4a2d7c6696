// The three tools of the table of languages, in C: see tests/languages/README.md.

#include "gatehouse.h"

#include <stdio.h>

static const char *COUNT_TAKES =
    "{\"type\":\"object\",\"properties\":{"
    "\"n\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":1000,\"description\":\"How many steps.\"}"
    "},\"required\":[\"n\"],\"additionalProperties\":false}";
static const char *COUNT_GIVES = "{\"type\":\"object\",\"properties\":{\"count\":{\"type\":\"integer\"}},\"required\":[\"count\"]}";
static const char *NOTHING = "{\"type\":\"object\",\"additionalProperties\":false}";
// What is asked of the user, and what is answered.
static const char *A_NAME = "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"}},\"required\":[\"name\"]}";
static const char *A_GREETING = "{\"type\":\"object\",\"properties\":{\"greeting\":{\"type\":\"string\"}},\"required\":[\"greeting\"]}";

static bool count(const char *arguments, outcome_t *ret) {
  int n = (int)json_number(arguments, "n", 0);
  for (int done = 1; done <= n; done++) report(done, n, "counting");
  char line[64];
  snprintf(line, sizeof line, "{\"count\":%d}", n);
  return structured(ret, line);
}

// A structured result of one text.
static bool one_text(outcome_t *ret, const char *name, const char *text, size_t length) {
  char *line = malloc(strlen(name) + 6 * length + 16);
  if (!line) abort();
  char *to = line + sprintf(line, "{\"%s\":\"", name);
  for (size_t at = 0; at < length; at++) {
    unsigned char c = (unsigned char)text[at];
    if (c < 0x20 || c == '"' || c == '\\') {
      to += sprintf(to, "\\u%04x", c);
    } else {
      *to++ = (char)c;
    }
  }
  strcpy(to, "\"}");
  structured(ret, line);
  free(line);
  return true;
}

static bool ask_name(const exports_gatehouse_tool_tools_call_t *call, outcome_t *ret, exports_gatehouse_tool_tools_failure_t *err) {
  bool done = false;
  char *form = ask(call, "name", "What is your name?", A_NAME, ret, err, &done);
  if (!form) return done;
  size_t length = 0;
  char *name = json_string(form, "name", &length);
  done = name ? one_text(ret, "name", name, length) : tool_error(ret, "The answer has no name.");
  free(name);
  free(form);
  return done;
}

static bool variable(outcome_t *ret) {
  const char *greeting = getenv("GREETING");
  if (!greeting) return tool_error(ret, "The variable GREETING is not granted.");
  return one_text(ret, "greeting", greeting, strlen(greeting));
}

bool exports_gatehouse_tool_tools_list_tools(exports_gatehouse_tool_tools_list_tool_t *ret, tool_plugin_string_t *err) {
  (void)err;
  ret->len = 3;
  ret->ptr = calloc(ret->len, sizeof *ret->ptr);
  if (!ret->ptr) abort();
  describe(&ret->ptr[0], "count", "Counts to a number, and tells how far it has come.", COUNT_TAKES, COUNT_GIVES);
  describe(&ret->ptr[1], "ask", "Asks the user for a name.", NOTHING, A_NAME);
  describe(&ret->ptr[2], "variable", "Reads the variable GREETING.", NOTHING, A_GREETING);
  return true;
}

bool exports_gatehouse_tool_tools_call_tool(exports_gatehouse_tool_tools_call_t *call, outcome_t *ret,
                                            exports_gatehouse_tool_tools_failure_t *err) {
  char *arguments = terminated(&call->arguments);
  bool done = false;
  if (is(&call->tool, "count")) {
    done = count(arguments, ret);
  } else if (is(&call->tool, "ask")) {
    done = ask_name(call, ret, err);
  } else if (is(&call->tool, "variable")) {
    done = variable(ret);
  } else {
    err->tag = GATEHOUSE_TOOL_TOOL_TYPES_FAILURE_UNKNOWN_NAME;
  }
  free(arguments);
  exports_gatehouse_tool_tools_call_free(call);
  return done;
}
