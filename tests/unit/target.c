/* Targets: names, sets of forms, the running machine. */
#include "target/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void sets(void **state)
{
    (void)state;
    TargetSet set;
    assert_true(target_set_find("all", &set));
    assert_int_equal(set.count, 4);
    assert_string_equal(set.forms[0]->name, "avx512"); /* best first: bind takes the first that runs */
    assert_string_equal(set.forms[1]->name, "avx2");
    assert_string_equal(set.forms[2]->name, "neon");
    assert_string_equal(set.forms[3]->name, "scalar");
    assert_int_equal(set.family, FAMILY_VECTOR);
    assert_true(target_set_find("scalar", &set));
    assert_int_equal(set.count, 1);
    assert_int_equal(set.family, FAMILY_SCALAR);
    assert_true(target_set_find("neon", &set));
    assert_int_equal(set.family, FAMILY_VECTOR); /* one weight file serves x86 and aarch64 */
    assert_false(target_set_find("", &set));
    assert_string_equal(target_set_names(), "all, scalar, avx2, avx512, neon");
}

static void panels_hold_whole_vectors(void **state)
{
    (void)state;
    for (int i = 0; i < TARGET_COUNT; i++) assert_int_equal(family_panel_columns(target_table[i].family) % target_table[i].lanes, 0);
    assert_int_equal(family_panel_columns(FAMILY_VECTOR), 32);
    assert_int_equal(family_panel_columns(FAMILY_SCALAR), 8);
}

static void native_is_a_target(void **state)
{
    (void)state;
    TargetSet set;
    assert_true(target_set_find(target_native(), &set));
    assert_int_equal(set.count, 1);
#if defined(__x86_64__) && defined(__GNUC__)
    assert_int_equal(strcmp(target_native(), "scalar") != 0, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sets), cmocka_unit_test(panels_hold_whole_vectors),
                                       cmocka_unit_test(native_is_a_target)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
