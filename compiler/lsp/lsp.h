/* The language server of `gmlpc lsp`: LSP 3.17 over two file descriptors.
 *
 * In: JSON-RPC messages of an editor.  Out: answers, and diagnostics whenever the input rests.  Leaves to others: everything about the
 * language itself; it asks dsl/ for trees and canonical text, model/ for what a model's names stand for.
 *
 *   transport.c   messages in and out            documents.c   texts being edited, positions in them
 *   library.c     file names and URIs; the embedded library as files that an editor can open
 *   analysis.c    a text through the compiler, what its names were bound to     names.c, names_walk.c   what each name in a text refers to
 *   problems.c    diagnostics   hover.c   definition.c   completion.c   outline.c: symbols, formatting
 *   words.c       the language's own words       server.c      methods, the loop */
#ifndef GM_LSP_LSP_H
#define GM_LSP_LSP_H

#include "support/text.h"

/* Serves until `exit` or the end of the input. Returns the exit code: 0 after a shutdown, else 1. */
int lsp_serve(int in, int out);
/* Every word of the language by kind, one a line ("keyword import"): what the editors' syntax files are checked against. */
void lsp_words(Text *out);

#endif
