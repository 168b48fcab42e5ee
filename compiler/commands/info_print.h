/* What `gmlpc info` says of a model, as text, JSON, CSV and Markdown.
 * In: rows and totals of the model as written, the plan of the compiled one.  Out: text. */
#ifndef GM_COMMANDS_INFO_PRINT_H
#define GM_COMMANDS_INFO_PRINT_H

#include "commands/survey.h"
#include "schedule/plan.h"

typedef struct {
    const Module *module;
    const Rows *rows;
    Cost total;
    const Plan *plan;
    int64_t stack_bytes;
} Summary;

void info_text(const Summary *summary, Text *out);
void info_json(const Summary *summary, Text *out);
void info_csv(const Summary *summary, Text *out);      /* the rows alone, under a line of names */
void info_markdown(const Summary *summary, Text *out);

/* 1234567 → "1,234,567". */
const char *grouped(Arena *arena, int64_t number);

#endif
