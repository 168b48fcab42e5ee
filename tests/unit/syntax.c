/* Lexer, parser and tree: what is read, where it stands, and how hostile texts end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dsl/ast.h"
#include "support/diagnostics.h"

#include <string.h>

static Arena *arena;
static Diagnostics *diags;

static int set_up(void **state)
{
    (void)state;
    arena = arena_new();
    diags = diagnostics_new(arena);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static AstFile *parse_bytes(const char *text, size_t size)
{
    return ast_parse(arena, source_new(arena, "test.gm", text, size, false), diags);
}

static AstFile *parse(const char *text)
{
    return parse_bytes(text, strlen(text));
}

static const char *messages(void)
{
    Text out = text_new(arena);
    diagnostics_print(diags, &out, false);
    return text_string(&out);
}

static const char *expression(const char *text)
{
    AstExpr *expr = ast_parse_expression(arena, source_new(arena, "--set", text, strlen(text), false), diags);
    if (!expr) return NULL;
    Text out = text_new(arena);
    ast_print_expr(expr, &out);
    return text_string(&out);
}

static AstExpr *tree(const char *text)
{
    return ast_parse_expression(arena, source_new(arena, "--set", text, strlen(text), false), diags);
}

static void test_expressions_print_as_written(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "1 + 2 * 3", "-x", "!(a < b) && c || d", "x[i, j or 0]", "sum[j, k](w[i, j] * v[j, k])", "[2, 2, 6, 2]", "f(x, HEADS = 8) @ blocks[l].0.fn",
        "x |> layernorm() @ norm |> dense(FFN) @ fc1", "table[ids[i], ..]", "true", "\"a\\\\b\\\"c\\n\"", "a // b % c", "f() @ .", "f() @ shared output.x",
        "f() @ 0.1.x", "proj.weight[i]",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *printed = expression(texts[i]);
        assert_non_null(printed);
        assert_string_equal(printed, texts[i]);
    }
    assert_int_equal(diags->error_count, 0);
}

static void test_precedence(void **state)
{
    (void)state;
    AstExpr *e = tree("a + b * c |> f()");
    assert_int_equal(e->op, AST_ADD);
    assert_int_equal(e->right->op, AST_MUL);
    assert_int_equal(e->right->right->kind, AST_CALL);
    assert_true(e->right->right->chained);
    e = tree("a - b - c");
    assert_int_equal(e->left->kind, AST_BINARY);
    assert_int_equal(e->right->kind, AST_NAME);
    e = tree("-a * b");
    assert_int_equal(e->kind, AST_BINARY);
    assert_int_equal(e->left->kind, AST_UNARY);
    e = tree("a || b && c == d");
    assert_int_equal(e->op, AST_OR);
    assert_int_equal(e->right->op, AST_AND);
}

static void test_numbers(void **state)
{
    (void)state;
    AstExpr *e = tree("9223372036854775807");
    assert_true(e->integer);
    assert_true(e->whole == INT64_MAX);
    assert_false(tree("9223372036854775808")->integer);
    assert_false(tree("1e5")->integer);
    assert_true(tree("1e-5")->number == 1e-5);
    assert_null(tree("1 +"));
    assert_null(tree(""));
    assert_null(tree("1 2"));
    assert_null(tree("1e999"));
}

static void test_places(void **state)
{
    (void)state;
    AstFile *file = parse("block f(x[N]) -> [N] {\n  y[i] = x[i] * 2 for i < N\n  return y\n}\n");
    assert_non_null(file);
    AstStatement *statement = file->declarations.data[0]->callable->body.data[0];
    assert_int_equal(statement->place.begin, 25);
    assert_int_equal(statement->place.end, 50);
    AstExpr *value = statement->assignment.value;
    assert_int_equal(value->place.begin, 32);
    assert_int_equal(value->place.end, 40);
    assert_int_equal(value->op_place.begin, 37);
    assert_int_equal(statement->assignment.bounds.data[0].place.begin, 45);
    assert_int_equal(file->declarations.data[0]->callable->place.begin, 0);
}

static void test_doc_comments(void **state)
{
    (void)state;
    AstFile *file = parse("# no doc\n\n## One.\n##  Two.\nconst a = 3\n## lost\n\nconst b = 4\nconst c = 3 ## trailing\nconst d = 1\n");
    assert_int_equal(file->declarations.count, 4);
    assert_string_equal(file->declarations.data[0]->doc, "One.\n Two.");
    assert_null(file->declarations.data[1]->doc);
    assert_null(file->declarations.data[3]->doc);
    assert_int_equal(file->comments.count, 5);
}

static void test_bind_lines(void **state)
{
    (void)state;
    AstFile *file = parse("bind g for m {\n a.w[o, c] = \"k\"[c, o]\n b[i].w = \"x\"\n b[i] = \"y\"\n b[2 * i].* = \"n.{i}.*\"\n \"*\" = \"p/*\"\n \"c.0.*\" = \"q.*\"\n"
                          " ignore \"o/*\", \"z\"\n if H { d.* = \"e.*\" }\n w[C + m] = \"k\"[m] for m < C\n}\n");
    assert_int_equal(diags->error_count, 0);
    AstBind *bind = file->declarations.data[0]->bind;
    assert_int_equal(bind->lines.count, 9);
    AstBindLine **lines = bind->lines.data;
    assert_int_equal(lines[0]->kind, BIND_TENSOR);
    assert_true(lines[0]->subscripted);
    assert_int_equal(lines[0]->subscripts.count, 2);
    assert_int_equal(lines[0]->path.parts.count, 2);
    assert_false(lines[1]->subscripted);
    assert_int_equal(lines[1]->path.parts.count, 3);
    assert_non_null(lines[1]->path.parts.data[1].index);
    assert_false(lines[2]->subscripted); /* brackets before a plain string are part of the path */
    assert_int_equal(lines[2]->path.parts.count, 2);
    assert_int_equal(lines[3]->kind, BIND_SUBTREE);
    assert_string_equal(lines[3]->pattern, "n.{i}.*");
    assert_int_equal(lines[4]->kind, BIND_SUBTREE);
    assert_int_equal(lines[4]->path.parts.count, 0);
    assert_int_equal(lines[5]->kind, BIND_SUBTREE);
    assert_int_equal(lines[5]->path.parts.count, 2);
    assert_int_equal(lines[6]->globs.count, 2);
    assert_int_equal(lines[7]->lines.count, 1);
    assert_int_equal(lines[8]->bounds.count, 1);
}

static void test_recovery_keeps_the_rest(void **state)
{
    (void)state;
    AstFile *file = parse("block f(x[N]) -> [N] {\n  y = )\n  z = x\n  return z\n}\nblock g( { }\nconst a = 3\n");
    assert_int_equal(diags->error_count, 2);
    assert_int_equal(file->declarations.count, 2);
    assert_int_equal(file->declarations.data[0]->callable->body.count, 2);
    assert_int_equal(file->declarations.data[1]->kind, DECLARE_CONST);
}

static char *repeated(const char *before, const char *piece, int count, const char *after)
{
    Text text = text_new(arena);
    text_add(&text, before);
    for (int i = 0; i < count; i++) text_add(&text, piece);
    text_add(&text, after);
    return arena_strdup(arena, text_string(&text));
}

static void expect_only(const char *code)
{
    assert_int_equal(diags->error_count, 1);
    if (!strstr(messages(), code)) fail_msg("expected %s, got:\n%s", code, messages());
}

static void test_depth_is_limited(void **state)
{
    (void)state;
    assert_non_null(tree(repeated("", "(", 200, repeated("x", ")", 200, ""))));
    assert_int_equal(diags->error_count, 0);
    assert_null(tree(repeated("", "(", 201, repeated("x", ")", 201, ""))));
    expect_only("GM006");
    assert_non_null(tree("1"));
    diags = diagnostics_new(arena);
    assert_non_null(tree(repeated("x", " + x", 900, "")));
    assert_null(tree(repeated("x", " + x", 100000, "")));
    expect_only("GM006");
    diags = diagnostics_new(arena);
    assert_null(tree(repeated("", "-", 100000, "x")));
    expect_only("GM006");
    diags = diagnostics_new(arena);
    assert_null(tree(repeated("x", " |> f()", 100000, "")));
    expect_only("GM006");
    diags = diagnostics_new(arena);
    parse(repeated("model m() { if a {}", " else if a {}", 3000, "}"));
    expect_only("GM006");
    diags = diagnostics_new(arena);
    parse(repeated("model m() {", " if a {", 100000, "}"));
    expect_only("GM006");
}

static void test_no_text(void **state)
{
    (void)state;
    assert_null(parse_bytes("model m() {}\0", 13));
    expect_only("GM007");
    static const char *const bad[] = {"\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xFF", "\xC3", "\xE2\x82", "\x80"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        diags = diagnostics_new(arena);
        assert_null(parse(arena_printf(arena, "# %s\n", bad[i])));
        expect_only("GM007");
    }
    diags = diagnostics_new(arena);
    assert_non_null(parse("\xEF\xBB\xBFmodel m() {}"));
    assert_int_equal(diags->error_count, 0);
    assert_null(parse(repeated("", "# 16 bytes here\n", 1000001, "")));
    expect_only("GM008");
}

static void test_many_errors_end(void **state)
{
    (void)state;
    parse(repeated("model m() {\n", "  x = )\n", 50000, "}\n"));
    assert_true(diags->error_count >= 20);
    assert_int_equal(diags->count, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_expressions_print_as_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_precedence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_numbers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_places, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_doc_comments, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bind_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_recovery_keeps_the_rest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_depth_is_limited, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_errors_end, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
