/* The canonical form of a .gm file, for `gmlpc fmt`. */
#ifndef GM_DSL_FORMAT_H
#define GM_DSL_FORMAT_H

#include "dsl/ast.h"

/* The text of `file` in canonical form: two spaces a level, one statement a line, single spaces, at most one blank line, a long
 * equation's `for` on a line of its own, separators of neighbouring lines in one column where the writer set them so. The words of
 * the text, their order and every comment stay; formatting twice changes nothing more.
 * Needs: a file that was parsed without errors. */
char *ast_format(Arena *arena, const AstFile *file);

#endif
