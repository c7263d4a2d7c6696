// Charts of numbers: a drawing (SVG) for people, and a line of text for models that do not look at pictures.
//
// The host has checked the arguments against the schema; what that cannot say (as many labels as values) is checked here.

#include "gatehouse.h"

#include <stdarg.h>
#include <stdio.h>

enum { POINTS_MAX = 200, WIDTH = 720, HEIGHT = 420, LEFT = 72, RIGHT = 24, TOP = 56, BOTTOM = 84, LABELS_SHOWN_MAX = 24, TICKS_MAX = 6 };

static const char *DRAW_CHART_TAKES =
    "{\"type\":\"object\",\"properties\":{"
    "\"kind\":{\"enum\":[\"bar\",\"line\"],\"default\":\"bar\",\"description\":\"Bars to compare, a line for what changes over time.\"},"
    "\"title\":{\"type\":\"string\",\"maxLength\":80,\"description\":\"What the chart is about.\"},"
    "\"unit\":{\"type\":\"string\",\"maxLength\":20,\"description\":\"Of the values, such as `ms` or `%`.\"},"
    "\"labels\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"maxLength\":40},\"minItems\":1,\"maxItems\":200,"
    "\"description\":\"What each value is of, from left to right.\"},"
    "\"values\":{\"type\":\"array\",\"items\":{\"type\":\"number\",\"minimum\":-1e15,\"maximum\":1e15},\"minItems\":1,\"maxItems\":200,"
    "\"description\":\"As many as there are labels.\"}"
    "},\"required\":[\"labels\",\"values\"],\"additionalProperties\":false}";

// --- A text that grows.

typedef struct {
  char *bytes;
  size_t length, room;
} text_t;

static void add_bytes(text_t *text, const char *bytes, size_t length) {
  if (text->length + length + 1 > text->room) {
    text->room = 2 * text->room + length + 1024;
    text->bytes = realloc(text->bytes, text->room);
    if (!text->bytes) abort();
  }
  memcpy(text->bytes + text->length, bytes, length);
  text->length += length;
  text->bytes[text->length] = 0;
}

// Numbers and short words; longer text goes by `add_bytes`.
__attribute__((format(printf, 2, 3))) static void add(text_t *text, const char *format, ...) {
  char piece[512];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(piece, sizeof piece, format, arguments);
  va_end(arguments);
  if (length > 0) add_bytes(text, piece, (size_t)length < sizeof piece ? (size_t)length : sizeof piece - 1);
}

// What somebody else wrote, so that it stays text within the drawing. Control characters have no place in XML.
static void add_escaped(text_t *text, const char *from, size_t length) {
  for (size_t at = 0; at < length; at++) {
    switch (from[at]) {
      case '&': add(text, "&amp;"); break;
      case '<': add(text, "&lt;"); break;
      case '>': add(text, "&gt;"); break;
      case '"': add(text, "&quot;"); break;
      default:
        if ((unsigned char)from[at] >= 0x20) add_bytes(text, from + at, 1);
    }
  }
}

// --- Arguments

typedef struct {
  char *bytes;
  size_t length;
} label_t;

typedef struct {
  bool is_line;
  label_t title, unit, labels[POINTS_MAX];
  double values[POINTS_MAX];
  size_t count;
} chart_t;

static const char *skip_blanks(const char *at) { return at + strspn(at, " \t\r\n,"); }

static size_t read_labels(const char *at, label_t *labels) {
  size_t count = 0;
  for (at = skip_blanks(at + 1); *at == '"' && count < POINTS_MAX; at = skip_blanks(json_skip_string(at)), count++) {
    labels[count].bytes = json_string_at(at, &labels[count].length);
  }
  return count;
}

static size_t read_values(const char *at, double *values) {
  size_t count = 0;
  char *end = NULL;
  for (at = skip_blanks(at + 1); *at != ']' && *at && count < POINTS_MAX; at = skip_blanks(end), count++) {
    values[count] = strtod(at, &end);
    if (end == at) break;
  }
  return count;
}

// --- The drawing

// The smallest of 1, 2, 5, 10, 20, 50 and so on, up and down, that makes no more than so many steps of a range.
static double step_of(double range) {
  double step = 1;
  while (step * TICKS_MAX < range) step *= 10;
  while (step / 10 * TICKS_MAX >= range) step /= 10;
  if (step / 5 * TICKS_MAX >= range) return step / 5;
  if (step / 2 * TICKS_MAX >= range) return step / 2;
  return step;
}

typedef struct {
  double low, high, step;
} scale_t;

// Bars stand on zero, so it is in the picture; a line shows what changes.
static scale_t scale_of(const chart_t *chart) {
  double low = chart->values[0], high = low;
  for (size_t at = 1; at < chart->count; at++) {
    if (chart->values[at] < low) low = chart->values[at];
    if (chart->values[at] > high) high = chart->values[at];
  }
  if (!chart->is_line && low > 0) low = 0;
  if (!chart->is_line && high < 0) high = 0;
  // Values that are all the same, or as good as that, need some room as well.
  double size = high > -low ? high : -low;
  bool is_nothing = size < 1e-300;
  if (is_nothing || high - low <= size * 1e-9) {
    double room = is_nothing ? 1 : size / 2;
    low -= room, high += room;
  }
  double step = step_of(high - low);
  // As many whole steps as fit around the values; a number of steps is small enough for an integer.
  long long first = (long long)(low / step), last = (long long)(high / step);
  if (first * step > low) first--;
  if (last * step < high) last++;
  return (scale_t){first * step, last * step, step};
}

static double y_of(const scale_t *scale, double value) {
  return TOP + (scale->high - value) / (scale->high - scale->low) * (HEIGHT - TOP - BOTTOM);
}

static void draw_axes(text_t *svg, const chart_t *chart, const scale_t *scale) {
  long long steps = (long long)((scale->high - scale->low) / scale->step + 0.5);
  for (long long tick = 0; tick <= steps; tick++) {
    double value = scale->low + tick * scale->step;
    // What is left of a subtraction is no value.
    if (value < scale->step / 2 && value > -scale->step / 2) value = 0;
    double y = y_of(scale, value);
    add(svg, "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>", LEFT, WIDTH - RIGHT, y, y, value == 0 ? "#555" : "#ddd");
    add(svg, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.6g</text>", LEFT - 8, y + 4, value);
  }
  if (chart->unit.length) {
    add(svg, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\" fill=\"#555\">", LEFT - 8, TOP - 16);
    add_escaped(svg, chart->unit.bytes, chart->unit.length);
    add(svg, "</text>");
  }
}

static void draw_labels(text_t *svg, const chart_t *chart, double slot) {
  size_t every = (chart->count + LABELS_SHOWN_MAX - 1) / LABELS_SHOWN_MAX;
  bool slanted = chart->count > 6;
  for (size_t at = 0; at < chart->count; at += every) {
    double x = LEFT + (at + 0.5) * slot;
    int y = HEIGHT - BOTTOM + 18;
    if (slanted) {
      add(svg, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"end\" transform=\"rotate(-35 %.1f %d)\">", x, y, x, y);
    } else {
      add(svg, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">", x, y);
    }
    add_escaped(svg, chart->labels[at].bytes, chart->labels[at].length);
    add(svg, "</text>");
  }
}

static void draw_values(text_t *svg, const chart_t *chart, const scale_t *scale, double slot) {
  if (chart->is_line) add(svg, "<polyline fill=\"none\" stroke=\"#2563eb\" stroke-width=\"2\" points=\"");
  for (size_t at = 0; at < chart->count; at++) {
    double y = y_of(scale, chart->values[at]), zero = y_of(scale, 0);
    if (chart->is_line) {
      add(svg, "%.1f,%.1f ", LEFT + (at + 0.5) * slot, y);
    } else {
      add(svg, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"#2563eb\"/>", LEFT + (at + 0.15) * slot,
          y < zero ? y : zero, slot * 0.7, y < zero ? zero - y : y - zero);
    }
  }
  if (!chart->is_line) return;
  add(svg, "\"/>");
  for (size_t at = 0; at < chart->count; at++) {
    add(svg, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"#2563eb\"/>", LEFT + (at + 0.5) * slot, y_of(scale, chart->values[at]));
  }
}

static text_t draw(const chart_t *chart) {
  text_t svg = {0};
  scale_t scale = scale_of(chart);
  double slot = (double)(WIDTH - LEFT - RIGHT) / chart->count;
  add(&svg, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" ", WIDTH, HEIGHT, WIDTH, HEIGHT);
  add(&svg, "font-family=\"sans-serif\" font-size=\"12\" role=\"img\"><rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>");
  if (chart->title.length) {
    add(&svg, "<text x=\"%d\" y=\"26\" text-anchor=\"middle\" font-size=\"17\">", WIDTH / 2);
    add_escaped(&svg, chart->title.bytes, chart->title.length);
    add(&svg, "</text>");
  }
  draw_axes(&svg, chart, &scale);
  draw_values(&svg, chart, &scale, slot);
  draw_labels(&svg, chart, slot);
  add(&svg, "</svg>");
  return svg;
}

// --- The answer

static void add_point(text_t *text, const chart_t *chart, size_t at) {
  add(text, "%.6g", chart->values[at]);
  if (chart->unit.length) {
    add(text, " ");
    add_bytes(text, chart->unit.bytes, chart->unit.length);
  }
  add(text, " (");
  add_bytes(text, chart->labels[at].bytes, chart->labels[at].length);
  add(text, ")");
}

static text_t told(const chart_t *chart) {
  text_t text = {0};
  size_t least = 0, most = 0;
  double mean = 0;
  for (size_t at = 0; at < chart->count; at++) {
    if (chart->values[at] < chart->values[least]) least = at;
    if (chart->values[at] > chart->values[most]) most = at;
    mean += chart->values[at] / chart->count;
  }
  add(&text, "A %s chart of %zu %s: least ", chart->is_line ? "line" : "bar", chart->count, chart->count == 1 ? "value" : "values");
  add_point(&text, chart, least);
  add(&text, ", most ");
  add_point(&text, chart, most);
  add(&text, ", mean %.6g.", mean);
  return text;
}

static bool answered(const chart_t *chart, outcome_t *ret) {
  memset(ret, 0, sizeof *ret);
  ret->tag = GATEHOUSE_TOOL_TOOL_TYPES_OUTCOME_COMPLETE;
  gatehouse_tool_tool_types_list_content_t *content = &ret->val.complete.content;
  content->len = 2;
  content->ptr = calloc(content->len, sizeof *content->ptr);
  if (!content->ptr) abort();
  text_t text = told(chart), svg = draw(chart);
  content->ptr[0].tag = GATEHOUSE_TOOL_TOOL_TYPES_CONTENT_TEXT;
  tool_plugin_string_dup_n(&content->ptr[0].val.text.text, text.bytes, text.length);
  content->ptr[1].tag = GATEHOUSE_TOOL_TOOL_TYPES_CONTENT_IMAGE;
  // The host encodes it in base64.
  content->ptr[1].val.image.data = (tool_plugin_list_u8_t){(uint8_t *)svg.bytes, svg.length};
  tool_plugin_string_dup(&content->ptr[1].val.image.mime_type, "image/svg+xml");
  free(text.bytes);
  return true;
}

static bool draw_chart(const char *arguments, outcome_t *ret) {
  // Too large for the stack.
  static chart_t chart;
  size_t length = 0;
  char *kind = json_string(arguments, "kind", &length);
  chart.is_line = kind && !strcmp(kind, "line");
  chart.title.bytes = json_string(arguments, "title", &chart.title.length);
  chart.unit.bytes = json_string(arguments, "unit", &chart.unit.length);
  size_t labels = read_labels(json_member(arguments, "labels"), chart.labels);
  chart.count = read_values(json_member(arguments, "values"), chart.values);
  free(kind);
  if (labels != chart.count) {
    char line[128];
    snprintf(line, sizeof line, "There are %zu labels and %zu values: give as many of the one as of the other.", labels, chart.count);
    return tool_error(ret, line);
  }
  return answered(&chart, ret);
}

bool exports_gatehouse_tool_tools_list_tools(exports_gatehouse_tool_tools_list_tool_t *ret, tool_plugin_string_t *err) {
  (void)err;
  ret->len = 1;
  ret->ptr = calloc(ret->len, sizeof *ret->ptr);
  if (!ret->ptr) abort();
  describe(&ret->ptr[0], "draw_chart",
           "Draws numbers as a bar or line chart (SVG), and says in a line of text which is the least, which the most, and their mean.",
           DRAW_CHART_TAKES, NULL);
  return true;
}

bool exports_gatehouse_tool_tools_call_tool(exports_gatehouse_tool_tools_call_t *call, outcome_t *ret,
                                            exports_gatehouse_tool_tools_failure_t *err) {
  char *arguments = terminated(&call->arguments);
  bool done = false;
  if (is(&call->tool, "draw_chart")) {
    done = draw_chart(arguments, ret);
  } else {
    err->tag = GATEHOUSE_TOOL_TOOL_TYPES_FAILURE_UNKNOWN_NAME;
  }
  free(arguments);
  exports_gatehouse_tool_tools_call_free(call);
  return done;
}
