// Between plain C and the contract (wit/tool.wit). It is yours to change; the tools are in plugin.c.

#pragma once

#include "tool_plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef exports_gatehouse_tool_tools_outcome_t outcome_t;

static inline bool is(const tool_plugin_string_t *text, const char *word) {
  return text->len == strlen(word) && !memcmp(text->ptr, word, text->len);
}

// A copy that ends with a zero.
static inline char *terminated(const tool_plugin_string_t *text) {
  char *copy = malloc(text->len + 1);
  if (!copy) abort();
  memcpy(copy, text->ptr, text->len);
  copy[text->len] = 0;
  return copy;
}

// Tells how far the call has come.
static inline void report(double done, double total, const char *message) {
  tool_plugin_string_t text;
  tool_plugin_string_set(&text, message);
  gatehouse_host_progress_report(done, &total, &text);
}

// A line for the operator, and for a client that wants lines of this level. What is no JSON is kept as a text.
static inline void write_log(gatehouse_host_log_level_t level, const char *line) {
  tool_plugin_string_t text;
  tool_plugin_string_set(&text, line);
  gatehouse_host_log_write(level, NULL, &text);
}

// A tool as it stands in `tools/list`. The description is written for the client's model.
static inline void describe(exports_gatehouse_tool_tools_tool_t *tool, const char *name, const char *description, const char *takes,
                            const char *gives) {
  memset(tool, 0, sizeof *tool);
  tool_plugin_string_dup(&tool->name, name);
  tool_plugin_string_dup(&tool->description, description);
  tool_plugin_string_dup(&tool->input_schema, takes);
  if (gives) {
    tool->output_schema.is_some = true;
    tool_plugin_string_dup(&tool->output_schema.val, gives);
  }
  tool->annotations.read_only.is_some = true;
  tool->annotations.read_only.val = true;
}

// A result for programs: JSON that fits the output schema. The host adds its text form.
static inline bool structured(outcome_t *ret, const char *json) {
  memset(ret, 0, sizeof *ret);
  ret->tag = GATEHOUSE_TOOL_TOOL_TYPES_OUTCOME_COMPLETE;
  ret->val.complete.structured.is_some = true;
  tool_plugin_string_dup(&ret->val.complete.structured.val, json);
  return true;
}

// A failure that the client's model should read and can mend in its next call.
static inline bool tool_error(outcome_t *ret, const char *text) {
  memset(ret, 0, sizeof *ret);
  ret->tag = GATEHOUSE_TOOL_TOOL_TYPES_OUTCOME_COMPLETE;
  ret->val.complete.is_error = true;
  ret->val.complete.content.len = 1;
  ret->val.complete.content.ptr = calloc(1, sizeof *ret->val.complete.content.ptr);
  ret->val.complete.content.ptr[0].tag = GATEHOUSE_TOOL_TOOL_TYPES_CONTENT_TEXT;
  tool_plugin_string_dup(&ret->val.complete.content.ptr[0].val.text.text, text);
  return true;
}

// --- Arguments. The host has checked that they are one JSON object that fits the schema, so this only finds what is there.

static inline const char *json_skip_string(const char *at) {
  for (at++; *at && *at != '"'; at++) {
    if (*at == '\\' && at[1]) at++;
  }
  return *at ? at + 1 : at;
}

// Where the value of a member of the outermost object begins; NULL where there is none.
static inline const char *json_member(const char *json, const char *name) {
  size_t depth = 0, length = strlen(name);
  for (const char *at = json; *at;) {
    if (*at == '"') {
      const char *begin = at + 1;
      at = json_skip_string(at);
      const char *after = at + strspn(at, " \t\r\n");
      bool key = depth == 1 && *after == ':';
      if (key && (size_t)(at - 1 - begin) == length && !memcmp(begin, name, length)) return after + 1 + strspn(after + 1, " \t\r\n");
      continue;
    }
    depth += *at == '{' || *at == '[';
    depth -= *at == '}' || *at == ']';
    at++;
  }
  return NULL;
}

static inline double json_number(const char *json, const char *name, double otherwise) {
  const char *at = json_member(json, name);
  return at && *at != 'n' ? strtod(at, NULL) : otherwise;
}

static inline unsigned json_hex(const char *at) {
  char digits[5] = {0};
  strncpy(digits, at, 4);
  return (unsigned)strtoul(digits, NULL, 16);
}

// The bytes in UTF-8 of the string that begins there, to be freed, and how many there are; NULL where none begins.
static inline char *json_string_at(const char *at, size_t *length) {
  if (!at || *at != '"') return NULL;
  char *text = malloc(strlen(at) + 1), *to = text;
  if (!text) abort();
  for (at++; *at && *at != '"'; at++) {
    if (*at != '\\') {
      *to++ = *at;
      continue;
    }
    at++;
    const char *letter = strchr("b\bf\fn\nr\rt\t", *at);
    if (*at != 'u') {
      *to++ = letter ? letter[1] : *at;
      continue;
    }
    unsigned c = json_hex(at + 1);
    at += 4;
    if (c >= 0xd800 && c < 0xdc00 && at[1] == '\\' && at[2] == 'u') {
      c = 0x10000 + ((c - 0xd800) << 10) + (json_hex(at + 3) - 0xdc00);
      at += 6;
    }
    if (c < 0x80) {
      *to++ = (char)c;
    } else if (c < 0x800) {
      *to++ = (char)(0xc0 | c >> 6), *to++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
      *to++ = (char)(0xe0 | c >> 12), *to++ = (char)(0x80 | (c >> 6 & 0x3f)), *to++ = (char)(0x80 | (c & 0x3f));
    } else {
      *to++ = (char)(0xf0 | c >> 18), *to++ = (char)(0x80 | (c >> 12 & 0x3f));
      *to++ = (char)(0x80 | (c >> 6 & 0x3f)), *to++ = (char)(0x80 | (c & 0x3f));
    }
  }
  *length = (size_t)(to - text);
  *to = 0;
  return text;
}

static inline char *json_string(const char *json, const char *name, size_t *length) {
  return json_string_at(json_member(json, name), length);
}

// A copy of the value that begins there, as it stands.
static inline char *json_copy(const char *from) {
  const char *at = from;
  size_t depth = 0;
  do {
    if (*at == '"') {
      at = json_skip_string(at);
      continue;
    }
    depth += *at == '{' || *at == '[';
    depth -= *at == '}' || *at == ']';
    at++;
  } while (*at && (depth || !strchr(",}] \t\r\n", *at)));
  tool_plugin_string_t value = {(uint8_t *)from, (size_t)(at - from)};
  return terminated(&value);
}

// --- Questions.

// What a dialog has so far, a JSON object by keys, newest first: `null` is a question that is on its way. The host keeps it between two rounds.
static inline char *dialog_with(const exports_gatehouse_tool_tools_call_t *call, const char *before, const char *key) {
  size_t room = strlen(before) + strlen(key) + 16;
  const gatehouse_tool_tool_types_resume_t *resume = call->resume.is_some ? &call->resume.val : NULL;
  for (size_t at = 0; resume && at < resume->answers.len; at++) {
    room += resume->answers.ptr[at].f0.len + resume->answers.ptr[at].f1.len + 4;
  }
  char *dialog = malloc(room);
  if (!dialog) abort();
  char *to = dialog + sprintf(dialog, "{\"%s\":null", key);
  for (size_t at = 0; resume && at < resume->answers.len; at++) {
    const tool_plugin_string_t *of = &resume->answers.ptr[at].f0, *answer = &resume->answers.ptr[at].f1;
    to += sprintf(to, ",\"%.*s\":%.*s", (int)of->len, (const char *)of->ptr, (int)answer->len, (const char *)answer->ptr);
  }
  const char *rest = before[0] && before[1] != '}' ? before + 1 : "}";
  sprintf(to, "%s%s", *rest == '}' ? "" : ",", rest);
  return dialog;
}

// Asks the client's user to fill in a form, a JSON Schema of a flat object, under a key of letters. Gives what was filled in, a JSON object, to be freed:
// nobody has checked it. Without an answer it gives NULL, and the tool ends at once with `*done`: it runs from its beginning when there is one.
static inline char *ask(const exports_gatehouse_tool_tools_call_t *call, const char *key, const char *message, const char *schema, outcome_t *ret,
                        exports_gatehouse_tool_tools_failure_t *err, bool *done) {
  char *answer = NULL, *before = NULL;
  if (call->resume.is_some) {
    const gatehouse_tool_tool_types_resume_t *resume = &call->resume.val;
    tool_plugin_string_t state = {resume->state.ptr, resume->state.len};
    before = terminated(&state);
    for (size_t at = 0; at < resume->answers.len && !answer; at++) {
      if (is(&resume->answers.ptr[at].f0, key)) answer = terminated(&resume->answers.ptr[at].f1);
    }
    const char *kept = answer ? NULL : json_member(before, key);
    if (kept) answer = json_copy(kept);
  }
  if (answer) {
    size_t length = 0;
    char *action = json_string(answer, "action", &length);
    const char *content = json_member(answer, "content");
    char *form = action && !strcmp(action, "accept") && content && *content == '{' ? json_copy(content) : NULL;
    if (!form) *done = tool_error(ret, "The user did not answer.");
    free(action);
    free(answer);
    free(before);
    return form;
  }
  if (!(call->client & GATEHOUSE_TOOL_TOOL_TYPES_CLIENT_FEATURES_ELICIT_FORM)) {
    err->tag = GATEHOUSE_TOOL_TOOL_TYPES_FAILURE_MISSING_CLIENT_FEATURE;
    err->val.missing_client_feature = GATEHOUSE_TOOL_TOOL_TYPES_CLIENT_FEATURES_ELICIT_FORM;
    free(before);
    *done = false;
    return NULL;
  }
  char *dialog = dialog_with(call, before ? before : "", key);
  free(before);
  memset(ret, 0, sizeof *ret);
  ret->tag = GATEHOUSE_TOOL_TOOL_TYPES_OUTCOME_INPUT_REQUIRED;
  ret->val.input_required.state.ptr = (uint8_t *)dialog;
  ret->val.input_required.state.len = strlen(dialog);
  ret->val.input_required.questions.len = 1;
  ret->val.input_required.questions.ptr = calloc(1, sizeof *ret->val.input_required.questions.ptr);
  if (!ret->val.input_required.questions.ptr) abort();
  gatehouse_tool_tool_types_tuple2_string_question_t *question = ret->val.input_required.questions.ptr;
  tool_plugin_string_dup(&question->f0, key);
  question->f1.tag = GATEHOUSE_TOOL_TOOL_TYPES_QUESTION_ELICIT_FORM;
  tool_plugin_string_dup(&question->f1.val.elicit_form.message, message);
  tool_plugin_string_dup(&question->f1.val.elicit_form.schema, schema);
  *done = true;
  return NULL;
}
