/* Loops: a sequence of calls that repeats becomes one whose body stands once.
 * In: calls with classes and arguments.  Out: items: calls and loops, nested.
 *
 * A run of turns may be a loop when each argument moves by a constant from turn to turn. Arguments that are different tensors in each turn
 * are made to: weights are laid out turn after turn in the blob; tensors of the arena whose lives never meet share one place (what
 * a turn uses for itself, and what it hands on, once its reader is done); tensors that all live at once lie one after the other.
 * When what is handed on still lives while its successor is written, a loop over two turns at a time does. */
#include "schedule/schedule.h"

#include "support/bug.h"

#include <limits.h>
#include <stdlib.h>

enum { MAX_PERIODS = 64, MAX_HEIGHT = 4, ATTEMPTS = 4096 };

typedef struct {
    Scheduler *s;
    Arena *scratch;
    int start, period, turns;
    LIST(Region *) touched; /* roots seen in this attempt */
    LIST(Region *) columns; /* those of the first turn, blob and spread arena ones, in order of use */
    int stamp;
} Attempt;

static Argument *argument_at(const Attempt *a, int turn, int position, int slot)
{
    return a->s->items.data[a->start + turn * a->period + position]->arguments.data[slot];
}

static Region *resolve(const Argument *argument, int64_t *shift)
{
    *shift = argument->shift_bytes + argument->constant_bytes;
    return region_root(argument->region, shift);
}

/* --- one argument over the turns ----------------------------------------------------------------------------------- */
/* How many turns, from the first, the argument can follow. *moves: its tensors differ. */
static int turns_of_slot(const Attempt *a, int position, int slot, bool *moves)
{
    int64_t first_shift, second_shift, shift;
    Region *first = resolve(argument_at(a, 0, position, slot), &first_shift);
    Region *second = resolve(argument_at(a, 1, position, slot), &second_shift);
    *moves = first != second;
    if (*moves && (first->kind != REGION_ARENA && first->kind != REGION_BLOB)) return 1;
    for (int turn = 1; turn < a->turns; turn++) {
        Region *root = resolve(argument_at(a, turn, position, slot), &shift);
        if (*moves) {
            if (root == first || root->kind != first->kind || root->bytes != first->bytes || shift != first_shift) return turn;
        } else if (root != first || shift != first_shift + turn * (second_shift - first_shift)) {
            return turn;
        }
    }
    return a->turns;
}

/* --- roots that have to join --------------------------------------------------------------------------------------- */
static Region *joined(Region *root)
{
    while (root->joined != root) root = root->joined = root->joined->joined;
    return root;
}

static void touch(Attempt *a, Region *root)
{
    if (root->stamp == a->stamp) return;
    root->stamp = a->stamp;
    root->joined = root;
    root->column = -1;
    root->turn = -1;
    list_push(a->scratch, &a->touched, root);
}

/* Enters the root of one turn into a column; false when it belongs to another column or turn. */
static bool enter_column(Region *root, int column, int turn)
{
    if (root->column < 0) {
        root->column = column;
        root->turn = turn;
    }
    return root->column == column && root->turn == turn;
}

/* Same roots in the same turns for arguments that begin with the same root. */
static bool gather_column(Attempt *a, int position, int slot)
{
    int64_t shift;
    Region *first = resolve(argument_at(a, 0, position, slot), &shift);
    touch(a, first);
    int column = first->column >= 0 && first->turn == 0 ? first->column : a->columns.count;
    for (int turn = 0; turn < a->turns; turn++) {
        Region *root = resolve(argument_at(a, turn, position, slot), &shift);
        touch(a, root);
        if (!enter_column(root, column, turn)) return false;
    }
    if (column == a->columns.count) list_push(a->scratch, &a->columns, first);
    return true;
}

static void gather_class(Attempt *a, int position, int slot)
{
    int64_t shift;
    Region *first = resolve(argument_at(a, 0, position, slot), &shift);
    touch(a, first);
    for (int turn = 1; turn < a->turns; turn++) {
        Region *root = resolve(argument_at(a, turn, position, slot), &shift);
        touch(a, root);
        Region *x = joined(first), *y = joined(root);
        if (x != y) x->joined = y;
    }
}

typedef struct {
    Interval life;
    Region *owner;
} Owned;

static int compare_owned(const void *a, const void *b)
{
    const Owned *x = a, *y = b;
    if (x->owner->id != y->owner->id) return x->owner->id < y->owner->id ? -1 : 1;
    return x->life.first < y->life.first ? -1 : x->life.first > y->life.first;
}

/* Whether the lives within every class of joined roots are apart. */
static bool lives_are_apart(Attempt *a)
{
    LIST(Owned) all = {0};
    for (int i = 0; i < a->touched.count; i++) {
        Region *root = a->touched.data[i];
        for (int j = 0; root->kind == REGION_ARENA && root->column < 0 && j < root->live.count; j++)
            list_push(a->scratch, &all, (Owned){root->live.data[j], joined(root)});
    }
    if (all.count > 1) qsort(all.data, (size_t)all.count, sizeof *all.data, compare_owned);
    for (int i = 1; i < all.count; i++)
        if (all.data[i].owner == all.data[i - 1].owner && all.data[i].life.first <= all.data[i - 1].life.last) return false;
    return true;
}

/* The tensors of one argument all live at one moment: no place could serve two of them. */
static bool all_live_at_once(const Attempt *a, int position, int slot)
{
    int latest = INT_MIN, earliest = INT_MAX;
    for (int turn = 0; turn < a->turns; turn++) {
        int64_t shift;
        const Region *root = resolve(argument_at(a, turn, position, slot), &shift);
        if (root->kind != REGION_ARENA || root->live.count == 0) return false;
        int first = root->live.data[0].first, last = root->live.data[root->live.count - 1].last;
        if (first > latest) latest = first;
        if (last < earliest) earliest = last;
    }
    return a->turns > 2 && latest <= earliest;
}

/* --- attempt and commitment ---------------------------------------------------------------------------------------- */
static bool gather(Attempt *a)
{
    bool moves;
    for (int position = 0; position < a->period; position++) {
        const Item *item = a->s->items.data[a->start + position];
        for (int slot = 0; slot < item->arguments.count; slot++) {
            int64_t shift;
            turns_of_slot(a, position, slot, &moves);
            Region *first = resolve(item->arguments.data[slot], &shift);
            if (!moves) {
                touch(a, first);
                continue;
            }
            bool column = first->kind == REGION_BLOB || all_live_at_once(a, position, slot);
            if (column && !gather_column(a, position, slot)) return false;
            if (!column) gather_class(a, position, slot);
        }
    }
    for (int i = 0; i < a->touched.count; i++) { /* a root is spread, or shared, not both */
        Region *root = a->touched.data[i];
        if (root->column >= 0 && (root->joined != root || joined(root) != root)) return false;
        if (root->column < 0 && joined(root)->column >= 0) return false;
    }
    return lives_are_apart(a);
}

static bool possible(Attempt *a)
{
    bool moves;
    for (int position = 0; position < a->period; position++) {
        const Item *item = a->s->items.data[a->start + position];
        if (item->height >= (a->s->options.turns > 1 ? MAX_HEIGHT - 1 : MAX_HEIGHT)) return false;
        for (int slot = 0; slot < item->arguments.count; slot++) {
            int turns = turns_of_slot(a, position, slot, &moves);
            if (turns < 2) return false;
            if (turns < a->turns) a->turns = turns;
        }
    }
    a->stamp = ++a->s->stamp;
    a->touched.count = a->columns.count = 0;
    return gather(a);
}

static void share_places(Attempt *a)
{
    for (int i = 0; i < a->touched.count; i++) {
        Region *root = a->touched.data[i], *into = joined(root);
        if (root->column >= 0 || into == root) continue;
        root->parent = into;
        root->shift_bytes = 0;
        life_add(a->s, into, root);
    }
    for (int i = 0; i < a->touched.count; i++) life_settle(a->touched.data[i]);
}

/* Columns of one kind side by side, turn after turn. */
static void spread_columns(Attempt *a, RegionKind kind)
{
    int64_t turn_bytes = 0;
    int64_t alignment = kind == REGION_BLOB ? BLOB_ALIGNMENT : a->s->alignment;
    int64_t *shifts = arena_new_array(a->scratch, int64_t, a->columns.count + 1);
    for (int i = 0; i < a->columns.count; i++) {
        shifts[i] = turn_bytes;
        if (a->columns.data[i]->kind == kind) turn_bytes += round_up(a->columns.data[i]->bytes, alignment);
    }
    if (turn_bytes == 0) return;
    Region *whole = region_new(a->s, kind, turn_bytes * a->turns);
    for (int i = 0; i < a->touched.count; i++) {
        Region *root = a->touched.data[i];
        if (root->column < 0 || root->kind != kind) continue;
        root->parent = whole;
        root->shift_bytes = root->turn * turn_bytes + shifts[root->column];
        life_add(a->s, whole, root);
    }
    life_settle(whole);
    if (kind == REGION_ARENA && whole->live.count > 1) { /* its parts come to life one by one: one life for all */
        whole->live.data[0].last = whole->live.data[whole->live.count - 1].last;
        whole->live.count = 1;
    }
}

static int class_of_loop(Attempt *a, const Item *loop, Map *classes)
{
    Text key = text_new(a->s->scratch);
    text_printf(&key, "loop %lld", (long long)loop->count);
    for (int i = 0; i < loop->items.count; i++) text_printf(&key, " %d", loop->items.data[i]->class);
    for (int i = 0; i < loop->arguments.count; i++) {
        const Argument *argument = loop->arguments.data[i];
        text_printf(&key, " %lld", (long long)argument->steps[argument->step_count - 1]);
    }
    intptr_t number = (intptr_t)map_get(classes, text_string(&key));
    if (!number) map_put(a->s->scratch, classes, text_string(&key), (void *)(number = -1 - classes->count));
    return (int)number;
}

static Item *commit(Attempt *a, Map *classes)
{
    Scheduler *s = a->s;
    Item *loop = arena_new_object(s->arena, Item);
    share_places(a);
    spread_columns(a, REGION_BLOB);
    spread_columns(a, REGION_ARENA);
    loop->count = a->turns;
    for (int position = 0; position < a->period; position++) {
        Item *item = s->items.data[a->start + position];
        list_push(s->arena, &loop->items, item);
        if (item->height + 1 > loop->height) loop->height = item->height + 1;
        for (int slot = 0; slot < item->arguments.count; slot++) {
            int64_t first, second;
            Argument *argument = item->arguments.data[slot];
            const Region *here = resolve(argument, &first), *there = resolve(argument_at(a, 1, position, slot), &second);
            if (here != there) bug("roll: the turns of %s did not come together", argument->tensor->name);
            argument->steps[argument->step_count++] = second - first;
            list_push(s->arena, &loop->arguments, argument);
        }
    }
    loop->class = class_of_loop(a, loop, classes);
    int end = a->start + a->turns * a->period;
    s->items.data[a->start] = loop;
    memmove(s->items.data + a->start + 1, s->items.data + end, (size_t)(s->items.count - end) * sizeof *s->items.data);
    s->items.count -= a->turns * a->period - 1;
    return loop;
}

/* --- candidates ---------------------------------------------------------------------------------------------------- */
typedef struct {
    int start, period, length; /* items [start, start + length) repeat with this period */
} Run;

static int compare_runs(const void *a, const void *b)
{
    const Run *x = a, *y = b;
    int p = x->length - x->period, q = y->length - y->period; /* calls saved */
    if (p != q) return p > q ? -1 : 1;
    if (x->period != y->period) return x->period < y->period ? -1 : 1;
    return x->start < y->start ? -1 : x->start > y->start;
}

static int compare_periods(const void *a, const void *b)
{
    const Run *x = a, *y = b;
    if (x->period != y->period) return x->period < y->period ? -1 : 1;
    return x->start < y->start ? -1 : x->start > y->start;
}

/* The distances at which items of one class follow each other, the most frequent ones, and their doubles. */
static int find_periods(Scheduler *s, Arena *scratch, int *periods)
{
    int count = s->items.count, found = 0;
    int *votes = arena_new_array(scratch, int, count + 1);
    Map last = {0};
    for (int i = 0; i < count; i++) {
        const char *key = arena_printf(scratch, "%d", s->items.data[i]->class);
        intptr_t before = (intptr_t)map_get(&last, key);
        if (before) votes[i + 1 - before]++;
        map_put(scratch, &last, key, (void *)(intptr_t)(i + 1));
    }
    while (found < MAX_PERIODS / 2) {
        int best = 0;
        for (int p = 1; p <= count / 2; p++)
            if (votes[p] > (best ? votes[best] : 0)) best = p;
        if (!best) break;
        votes[best] = 0;
        periods[found++] = best;
    }
    int first = found;
    for (int i = 0; i < first; i++) periods[found++] = periods[i] * 2;
    return found;
}

static bool same_class(const Scheduler *s, int a, int b)
{
    return s->items.data[a]->class == s->items.data[b]->class;
}

/* Tries the starts of one run in turn, the first one that makes a loop of the least number of turns wins. */
static bool try_run(Scheduler *s, Arena *scratch, const Run *run, int least, Map *classes, int *attempts)
{
    for (int shift = 0; shift <= run->period && (run->length - shift) / run->period >= least; shift++) {
        Attempt a = {
            .s = s, .scratch = scratch, .start = run->start + shift, .period = run->period, .turns = (run->length - shift) / run->period};
        if ((*attempts)-- <= 0) return false;
        bool found = possible(&a);
        if (!found && --a.turns >= least) found = possible(&a); /* the last turn may be special */
        if (!found || a.turns < least) continue;
        commit(&a, classes);
        return true;
    }
    return false;
}

/* A call that writes over what it reads. */
static bool is_in_place(const Item *item)
{
    for (int i = 0; item->call && i < item->arguments.count; i++)
        for (int j = 0; j < item->arguments.count; j++) {
            const Argument *written = item->arguments.data[i], *other = item->arguments.data[j];
            if (i != j && written->written && written->region == other->region && written->shift_bytes == other->shift_bytes &&
                written->constant_bytes == other->constant_bytes)
                return true;
        }
    return false;
}

static bool roll_once(Scheduler *s, int least, bool shortest, bool in_place, Map *classes)
{
    Arena *scratch = arena_new();
    int periods[MAX_PERIODS] = {1}, period_count = in_place ? 1 : find_periods(s, scratch, periods), attempts = ATTEMPTS;
    LIST(Run) runs = {0};
    for (int i = 0; i < period_count; i++) {
        int p = periods[i];
        for (int at = 0; at + p < s->items.count;) {
            int end = at;
            while (end + p < s->items.count && same_class(s, end, end + p) && (!in_place || is_in_place(s->items.data[end]))) end++;
            if (end - at >= (least - 1) * p) list_push(scratch, &runs, (Run){at, p, end - at + p});
            at = end + 1;
        }
    }
    if (runs.count) qsort(runs.data, (size_t)runs.count, sizeof *runs.data, shortest ? compare_periods : compare_runs);
    bool rolled = false;
    for (int i = 0; i < runs.count && !rolled; i++) rolled = try_run(s, scratch, &runs.data[i], least, classes, &attempts);
    arena_free(scratch);
    return rolled;
}

void roll(Scheduler *s)
{
    Map classes = {0};
    for (int i = 0; i < s->calls.count; i++) {
        Item *item = arena_new_object(s->arena, Item);
        Call *call = s->calls.data[i];
        item->call = call;
        item->class = call->roll_class;
        for (int j = 0; j < call->arguments.count; j++) list_push(s->arena, &item->arguments, call->arguments.data[j]);
        list_push(s->arena, &s->items, item);
    }
    if (s->options.keep_all) return;
    /* Parts of a sum, which follow each other; then long loops inside out, so that a loop over time steps stands inside one over layers;
     * then what is left of two or three turns. */
    while (roll_once(s, 2, true, true, &classes)) continue;
    while (roll_once(s, 4, true, false, &classes)) continue;
    while (roll_once(s, 2, false, false, &classes)) continue;
}
