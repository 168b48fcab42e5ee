/* Pass split: an index n that addresses use as n // D and n % D becomes n = D * n_o + n_i, two indices, where its extent allows.
 * In: any module.  Out: the same values with linear addresses where that is possible. */
#include "passes/pass_functions.h"
#include "passes/rewrite.h"

void pass_split(Module *module, Diagnostics *diags)
{
    (void)diags;
    for (int i = 0; i < module->equations.count; i++) {
        Draft draft = draft_of(module, module->equations.data[i]);
        draft_split(&draft);
        draft_commit(&draft);
    }
}
