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

// The contract by hand: with no answer yet, the outcome is a question; the call comes again with the client's result under its key.
static bool ask(const exports_gatehouse_tool_tools_call_t *call, outcome_t *ret, exports_gatehouse_tool_tools_failure_t *err) {
  if (call->resume.is_some) {
    for (size_t at = 0; at < call->resume.val.answers.len; at++) {
      if (!is(&call->resume.val.answers.ptr[at].f0, "name")) continue;
      char *answer = terminated(&call->resume.val.answers.ptr[at].f1);
      size_t length = 0;
      char *action = json_string(answer, "action", &length);
      const char *content = json_member(answer, "content");
      char *name = action && !strcmp(action, "accept") && content ? json_string(content, "name", &length) : NULL;
      bool done = name && one_text(ret, "name", name, length);
      free(name);
      free(action);
      free(answer);
      if (done) return true;
    }
    return tool_error(ret, "The user did not answer.");
  }
  if (!(call->client & GATEHOUSE_TOOL_TOOL_TYPES_CLIENT_FEATURES_ELICIT_FORM)) {
    err->tag = GATEHOUSE_TOOL_TOOL_TYPES_FAILURE_MISSING_CLIENT_FEATURE;
    err->val.missing_client_feature = GATEHOUSE_TOOL_TOOL_TYPES_CLIENT_FEATURES_ELICIT_FORM;
    return false;
  }
  memset(ret, 0, sizeof *ret);
  ret->tag = GATEHOUSE_TOOL_TOOL_TYPES_OUTCOME_INPUT_REQUIRED;
  ret->val.input_required.questions.len = 1;
  ret->val.input_required.questions.ptr = calloc(1, sizeof *ret->val.input_required.questions.ptr);
  if (!ret->val.input_required.questions.ptr) abort();
  gatehouse_tool_tool_types_tuple2_string_question_t *question = ret->val.input_required.questions.ptr;
  tool_plugin_string_dup(&question->f0, "name");
  question->f1.tag = GATEHOUSE_TOOL_TOOL_TYPES_QUESTION_ELICIT_FORM;
  tool_plugin_string_dup(&question->f1.val.elicit_form.message, "What is your name?");
  tool_plugin_string_dup(&question->f1.val.elicit_form.schema, A_NAME);
  return true;
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
    done = ask(call, ret, err);
  } else if (is(&call->tool, "variable")) {
    done = variable(ret);
  } else {
    err->tag = GATEHOUSE_TOOL_TOOL_TYPES_FAILURE_UNKNOWN_NAME;
  }
  free(arguments);
  exports_gatehouse_tool_tools_call_free(call);
  return done;
}
