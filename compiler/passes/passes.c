/* The passes, in order. To add one: a file with its function, a line in pass_functions.h, a row here. */
#include "passes/passes.h"

#include "equation/verify.h"
#include "passes/pass_functions.h"
#include "support/bug.h"

#include <string.h>

const Pass pass_table[] = {
    /* name      does                                                                        run */
    {"simplify", "simplify index arithmetic, fold constants, drop what reaches no output",   pass_simplify},
    {"normal",   "one reduction an equation, factors moved out of sums",                      pass_normal},
    {"views",    "read through slices, transpositions, splits and concatenations",           pass_views},
    {"split",    "split indices used through // and % so that addresses become linear",      pass_split},
    {"tables",   "simplify once more, now that views are read through",                      pass_tables},
    {"fold",     "turn what depends on weights alone into packing",                          pass_fold},
    {"fuse",     "inline maps into their readers, attach epilogues to reductions",           pass_fuse},
    {"absorb",   "move weight-only scales and shifts around products into their weights",     pass_absorb},
    {"cleanup",  "drop dead equations and tensors",                                          pass_cleanup},
};
const int pass_count = sizeof pass_table / sizeof *pass_table;

bool run_passes(Module *module, const char *last, PassChecks checks, Diagnostics *diags)
{
    bool known = last == NULL, normal = false;
    for (int i = 0; i < pass_count; i++) known = known || strcmp(pass_table[i].name, last) == 0;
    if (!known) return false;
    int errors = diags ? diags->error_count : 0;
    for (int i = 0; i < pass_count; i++) {
        bug_set_pass(pass_table[i].name);
        pass_table[i].run(module, diags);
        normal = normal || pass_table[i].run == pass_normal;
        bool end = i == pass_count - 1 || (last && strcmp(pass_table[i].name, last) == 0);
        if (end || checks == VERIFY_EACH_PASS) {
            module_verify(module, normal);
            if (normal && !module_is_normal(module)) bug("normal form is lost");
        }
        if (end) break;
    }
    bug_set_pass(NULL);
    return !diags || diags->error_count == errors;
}
