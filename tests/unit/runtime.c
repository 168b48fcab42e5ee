/* The runtime: status texts, mapping, processor features, and the thread pool under every kind of call. */
#include "gm_cpu.h"
#include "gm_map.h"
#include "gm_memory.h"
#include "gm_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_status_texts(void **state)
{
    (void)state;
    for (int a = GM_ERROR_FILE; a <= 0; a++) {
        assert_string_not_equal(gm_status_text(a), gm_status_text(-1000));
        for (int b = GM_ERROR_FILE; b < a; b++) assert_string_not_equal(gm_status_text(a), gm_status_text(b));
    }
    assert_non_null(strstr(gm_status_text(3), "input"));
}

static void test_fields(void **state)
{
    (void)state;
    const unsigned char bytes[] = {0xff, 1, 2, 3, 0x84, 5, 6, 7, 0x88};
    assert_true(gm_read_u32(bytes + 1) == 0x84030201u);
    assert_true(gm_read_u64(bytes + 1) == UINT64_C(0x8807060584030201));
    const int64_t extents[] = {3, 5};
    const gm_tensor tensor = {"t", GM_I64, 2, extents}, scalar = {"s", GM_U8, 0, NULL};
    assert_int_equal(gm_tensor_elements(&tensor) * gm_element_bytes(tensor.type), 120);
    assert_int_equal(gm_tensor_elements(&scalar) * gm_element_bytes(scalar.type), 1);
}

static void test_map(void **state)
{
    (void)state;
    char path[] = "/tmp/gm-map-XXXXXX", fifo[64];
    int file = mkstemp(path);
    assert_true(file >= 0);
    gm_mapping mapping;
    assert_int_equal(gm_map(&mapping, path), GM_ERROR_FILE);
    assert_string_equal(mapping.error, "is empty");
    assert_null(mapping.data);
    assert_int_equal(write(file, "weights", 7), 7);
    close(file);
    assert_int_equal(gm_map(&mapping, path), GM_OK);
    assert_int_equal(mapping.bytes, 7);
    assert_memory_equal(mapping.data, "weights", 7);
    assert_string_equal(mapping.error, "");
    gm_unmap(&mapping);
    gm_unmap(&mapping);
    assert_int_equal(gm_load(&mapping, path), GM_OK);
    assert_int_equal(mapping.bytes, 7);
    assert_memory_equal(mapping.data, "weights", 7);
    gm_unmap(&mapping);
    gm_unmap(&mapping);
    unlink(path);
    assert_int_equal(gm_map(&mapping, path), GM_ERROR_FILE);
    assert_non_null(strstr(mapping.error, "No such file"));
    gm_unmap(&mapping);
    assert_int_equal(gm_map(&mapping, "/"), GM_ERROR_FILE);
    assert_string_equal(mapping.error, "is no regular file");
    snprintf(fifo, sizeof fifo, "%s.fifo", path);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(gm_map(&mapping, fifo), GM_ERROR_FILE); /* and does not wait for a writer */
    unlink(fifo);
    assert_int_equal(gm_map(&mapping, NULL), GM_ERROR_NULL);
    assert_int_equal(gm_map(NULL, path), GM_ERROR_NULL);
    assert_int_equal(gm_load(&mapping, path), GM_ERROR_FILE);
    assert_non_null(strstr(mapping.error, "No such file"));
    assert_int_equal(gm_load(&mapping, NULL), GM_ERROR_NULL);
    assert_int_equal(gm_load(NULL, path), GM_ERROR_NULL);
    gm_unmap(NULL);
}

/* Zeros that start where a huge page does; any of their bytes may be written. */
static void test_memory(void **state)
{
    (void)state;
    assert_null(gm_memory_new(0));
    assert_null(gm_memory_new(SIZE_MAX));
    assert_null(gm_memory_new(SIZE_MAX / 2));
    gm_memory_delete(NULL, 100);
    static const size_t sizes[] = {1, 4096, 100000, (1 << 20) - 1, 1 << 20, (2 << 20) - 1, 2 << 20, (3 << 20) - 1, 3 << 20, 9000001};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *memory = gm_memory_new(sizes[i]);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % (2 << 20), 0);
        for (size_t k = 0; k < sizes[i]; k += 997) assert_int_equal(memory[k], 0);
        memset(memory, 1, sizes[i]);
        gm_memory_delete(memory, sizes[i]);
    }
}

static void test_cpu(void **state)
{
    (void)state;
    char text[200], small[6];
    size_t length = gm_cpu_features(text, sizeof text);
    assert_int_equal(strlen(text), length);
    assert_int_equal(gm_cpu_features(small, sizeof small), length);
    assert_true(strncmp(small, text, strlen(small)) == 0);
    assert_int_equal(gm_cpu_features(NULL, 0), length);
    assert_true(gm_cpu_count() >= 1);
}

/* --- the pool ----------------------------------------------------------------------------------------------------- */

enum { MOST = 1000 };
typedef struct {
    _Atomic int runs[MOST];
    const gm_executor *executor; /* for nested calls */
    _Atomic int nested;
} Work;

static void count_run(void *argument, int index)
{
    Work *work = argument;
    atomic_fetch_add(&work->runs[index], 1);
}

static void count_and_wait(void *argument, int index)
{
    if (index % 97 == 0) usleep(200);
    count_run(argument, index);
}

static void add_nested(void *argument, int index)
{
    (void)index;
    atomic_fetch_add(&((Work *)argument)->nested, 1);
}

static void call_nested(void *argument, int index)
{
    Work *work = argument;
    count_run(argument, index);
    work->executor->parallel_for(work->executor->context, 3, add_nested, work);
}

/* Every task exactly once, and all done on return. */
static void check_call(const gm_executor *executor, int count, void (*body)(void *, int))
{
    Work *work = calloc(1, sizeof *work);
    work->executor = executor;
    executor->parallel_for(executor->context, count, body, work);
    for (int i = 0; i < MOST; i++)
        if (work->runs[i] != (i < count)) fail_msg("task %d of %d ran %d times", i, count, work->runs[i]);
    if (body == call_nested) assert_int_equal(work->nested, 3 * count);
    free(work);
}

static void test_pool_calls(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 5; threads++) {
        gm_pool *pool = gm_pool_new(threads);
        assert_non_null(pool);
        assert_int_equal(gm_pool_threads(pool), threads);
        const gm_executor *executor = gm_pool_executor(pool);
        assert_int_equal(executor->threads, threads);
        for (int count = 0; count < 20; count++) check_call(executor, count, count_run);
        for (int turn = 0; turn < 300; turn++) check_call(executor, turn % 7 + threads, count_run);
        check_call(executor, MOST, count_run);
        check_call(executor, MOST, count_and_wait);
        check_call(executor, 50, call_nested);
        usleep(2000); /* workers block now */
        check_call(executor, 100, count_run);
        gm_pool_free(pool);
    }
    gm_pool_free(NULL);
    assert_null(gm_pool_new(-1));
    gm_pool *pool = gm_pool_new(0);
    assert_int_equal(gm_pool_threads(pool), gm_cpu_count());
    gm_pool_free(pool);
}

static void *second_caller(void *argument)
{
    for (int turn = 0; turn < 500; turn++) check_call(argument, turn % 40, count_run);
    return NULL;
}

static void test_pool_with_two_callers(void **state)
{
    (void)state;
    gm_pool *pool = gm_pool_new(3);
    pthread_t thread;
    void *executor = (void *)(uintptr_t)gm_pool_executor(pool);
    assert_int_equal(pthread_create(&thread, NULL, second_caller, executor), 0);
    second_caller(executor);
    pthread_join(thread, NULL);
    gm_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_texts), cmocka_unit_test(test_fields),     cmocka_unit_test(test_map), cmocka_unit_test(test_memory),
        cmocka_unit_test(test_cpu),          cmocka_unit_test(test_pool_calls), cmocka_unit_test(test_pool_with_two_callers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
