/* Regions and their addresses.
 * In: regions with their lives.  Out: offsets in the arena (first fit over lives; optimal packing is NP-hard) and in
 * the blob (order of first use); two lower bounds of the arena: of its regions, and of the elements in them. */
#include "schedule/schedule.h"

#include "support/bug.h"

#include <stdlib.h>
#include <string.h>

Region *region_new(Scheduler *s, RegionKind kind, int64_t bytes)
{
    Region *region = arena_new_object(s->arena, Region);
    region->kind = kind;
    region->bytes = bytes;
    region->id = s->regions.count;
    region->offset_bytes = -1;
    list_push(s->arena, &s->regions, region);
    return region;
}

Region *region_root(Region *region, int64_t *shift_bytes)
{
    int64_t shift = 0;
    Region *root = region;
    while (root->parent) {
        shift += root->shift_bytes;
        root = root->parent;
    }
    for (int64_t rest = shift; region->parent && region->parent != root;) { /* shorten the path for the next question */
        Region *next = region->parent;
        int64_t own = region->shift_bytes;
        region->parent = root;
        region->shift_bytes = rest;
        rest -= own;
        region = next;
    }
    if (shift_bytes) *shift_bytes += shift;
    return root;
}

static int compare_intervals(const void *a, const void *b)
{
    const Interval *x = a, *y = b;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return x->last < y->last ? -1 : x->last > y->last;
}

void life_add(Scheduler *s, Region *into, const Region *from)
{
    for (int i = 0; i < from->live.count; i++) list_push(s->arena, &into->live, from->live.data[i]);
}

void life_settle(Region *region)
{
    int kept = 0;
    if (region->live.count == 0) return;
    qsort(region->live.data, (size_t)region->live.count, sizeof *region->live.data, compare_intervals);
    for (int i = 1; i < region->live.count; i++) {
        Interval next = region->live.data[i], *last = &region->live.data[kept];
        if (next.first > last->last)
            region->live.data[++kept] = next;
        else if (next.last > last->last)
            last->last = next.last;
    }
    region->live.count = kept + 1;
}

/* --- arena --------------------------------------------------------------------------------------------------------- */
static bool live_together(const Region *a, const Region *b)
{
    for (int i = 0, j = 0; i < a->live.count && j < b->live.count;) {
        if (a->live.data[i].last < b->live.data[j].first)
            i++;
        else if (b->live.data[j].last < a->live.data[i].first)
            j++;
        else
            return true;
    }
    return false;
}

static int compare_sizes(const void *a, const void *b)
{
    const Region *x = *(Region *const *)a, *y = *(Region *const *)b;
    if (x->bytes != y->bytes) return x->bytes > y->bytes ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

static int64_t life_length(const Region *region)
{
    int64_t length = 0;
    for (int i = 0; i < region->live.count; i++) length += region->live.data[i].last - region->live.data[i].first + 1;
    return length;
}

static int compare_lengths(const void *a, const void *b)
{
    const Region *x = *(Region *const *)a, *y = *(Region *const *)b;
    int64_t p = life_length(x), q = life_length(y);
    return p != q ? (p > q ? -1 : 1) : compare_sizes(a, b);
}

static int compare_starts(const void *a, const void *b)
{
    const Region *x = *(Region *const *)a, *y = *(Region *const *)b;
    int p = x->live.count ? x->live.data[0].first : 0, q = y->live.count ? y->live.data[0].first : 0;
    return p != q ? (p < q ? -1 : 1) : compare_sizes(a, b);
}

static int compare_offsets(const void *a, const void *b)
{
    const Region *x = *(Region *const *)a, *y = *(Region *const *)b;
    if (x->offset_bytes != y->offset_bytes) return x->offset_bytes < y->offset_bytes ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* `placed` is sorted by offset. Returns the lowest gap that fits among those that live at the same time. */
static int64_t first_fit(const Scheduler *s, Region *const *placed, int count, const Region *region)
{
    int64_t offset = 0;
    for (int i = 0; i < count; i++) {
        const Region *other = placed[i];
        if (!s->options.keep_all && !live_together(other, region)) continue;
        if (other->offset_bytes >= offset + region->bytes) break;
        int64_t end = round_up(other->offset_bytes + other->bytes, s->alignment);
        if (end > offset) offset = end;
    }
    return offset;
}

/* Places all in the order given; returns the bytes needed. */
static int64_t place_in_order(const Scheduler *s, Region *const *roots, int count, Region **placed)
{
    int64_t bytes = 0;
    for (int i = 0; i < count; i++) {
        Region *region = roots[i];
        region->offset_bytes = first_fit(s, placed, i, region);
        int at = i;
        while (at > 0 && compare_offsets(&placed[at - 1], &region) > 0) {
            placed[at] = placed[at - 1];
            at--;
        }
        placed[at] = region;
        int64_t end = round_up(region->offset_bytes + region->bytes, s->alignment);
        if (end > bytes) bytes = end;
    }
    return bytes;
}

typedef struct {
    Region **order, **best, **placed;
    int count;
    int64_t bytes;          /* of the best order */
} Placement;

static bool try_order(Scheduler *s, Placement *p)
{
    int64_t bytes = place_in_order(s, p->order, p->count, p->placed);
    if (p->bytes >= 0 && bytes >= p->bytes) return false;
    p->bytes = bytes;
    memcpy(p->best, p->order, (size_t)p->count * sizeof *p->order);
    return true;
}

/* The region that ends last goes first, the others after it as they were: again and again. */
static void raise_last(Placement *p)
{
    int at = 0;
    for (int i = 1; i < p->count; i++)
        if (p->order[i]->offset_bytes + p->order[i]->bytes > p->order[at]->offset_bytes + p->order[at]->bytes) at = i;
    Region *last = p->order[at];
    memmove(p->order + 1, p->order, (size_t)at * sizeof *p->order);
    p->order[0] = last;
}

/* By descending size, by length of life, in order of birth; where that leaves gaps, each of them changed step by step. */
static void place_arena(Scheduler *s, Region **roots, int count)
{
    typedef int Compare(const void *a, const void *b);
    static Compare *const orders[] = {compare_sizes, compare_lengths, compare_starts};
    enum { ORDERS = sizeof orders / sizeof *orders, PATIENCE = 200, MOST_WORK = 1000000 };
    Region **lists = arena_new_array(s->scratch, Region *, 2 * count + 1);
    Placement p = {.order = roots, .best = lists, .placed = lists + count, .count = count, .bytes = -1};
    int64_t bound = s->plan->arena_bound, work = (int64_t)count * count + 1;
    for (int i = 0; count && i < ORDERS && p.bytes != bound; i++) {
        qsort(roots, (size_t)count, sizeof *roots, orders[i]);
        try_order(s, &p);
    }
    for (int i = 0; count && i < ORDERS && p.bytes != bound; i++) {
        qsort(roots, (size_t)count, sizeof *roots, orders[i]);
        place_in_order(s, roots, count, p.placed);
        for (int64_t tries = 0; tries < PATIENCE && tries * work < MOST_WORK && p.bytes != bound; tries++) {
            raise_last(&p);
            try_order(s, &p);
        }
    }
    if (!count) return;
    s->plan->arena_bytes = place_in_order(s, p.best, count, p.placed);
}

static void bound_arena(Scheduler *s, Region *const *roots, int count)
{
    int64_t *change = arena_new_array(s->scratch, int64_t, s->calls.count + 1), now = 0;
    for (int i = 0; i < count; i++) {
        const Region *region = roots[i];
        int64_t bytes = round_up(region->bytes, s->alignment);
        if (s->options.keep_all) s->plan->arena_bound += bytes;
        for (int j = 0; j < region->live.count; j++) {
            change[region->live.data[j].first] += bytes;
            change[region->live.data[j].last + 1] -= bytes;
        }
    }
    for (int i = 0; !s->options.keep_all && i < s->calls.count; i++) {
        now += change[i];
        if (now > s->plan->arena_bound) s->plan->arena_bound = now;
    }
}

/* --- elements that live at once ------------------------------------------------------------------------------------ */
typedef struct {
    const Region *root;
    int64_t begin, end, dense; /* bytes of the root; bytes of its elements alone */
    Interval life;
} Resident;

static int compare_residents(const void *a, const void *b)
{
    const Resident *x = a, *y = b;
    if (x->root != y->root) return x->root->id < y->root->id ? -1 : 1;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

static bool resident_of(const Tensor *tensor, Resident *resident)
{
    const TensorPlan *plan = tensor->extra;
    if (!plan || plan->layout.storage != STORE_ARENA) return false;
    resident->begin = plan->shift_bytes;
    resident->root = region_root(plan->region, &resident->begin);
    resident->end = resident->begin + plan->layout.bytes;
    resident->dense = tensor_count(tensor) * element_type_size(tensor->type);
    resident->life = (Interval){plan->first_write, plan->last_read > plan->last_write ? plan->last_read : plan->last_write};
    return true;
}

/* Where several lie over one another, the largest stands for all: so this is never too much. */
static int64_t bytes_at(const Resident *residents, int count, int position)
{
    int64_t sum = 0, end = 0, most = 0;
    const Region *root = NULL;
    for (int i = 0; i < count; i++) {
        const Resident *r = &residents[i];
        if (position < r->life.first || position > r->life.last) continue;
        if (r->root != root || r->begin >= end) {
            sum += most;
            most = end = 0;
            root = r->root;
        }
        if (r->dense > most) most = r->dense;
        if (r->end > end) end = r->end;
    }
    return sum + most;
}

static void bound_elements(Scheduler *s)
{
    const Module *module = s->module;
    Resident *residents = arena_new_array(s->scratch, Resident, module->tensors.count + 1);
    int count = 0;
    for (int i = 0; i < module->tensors.count; i++) count += resident_of(module->tensors.data[i], &residents[count]);
    if (count) qsort(residents, (size_t)count, sizeof *residents, compare_residents);
    for (int position = 0; position < s->calls.count; position++) {
        int64_t bytes = bytes_at(residents, count, position);
        if (bytes > s->plan->arena_live) s->plan->arena_live = bytes;
    }
}

/* --- blob ---------------------------------------------------------------------------------------------------------- */
static bool is_static(const Region *root)
{
    return root->only && root->only->kind == TENSOR_CONSTANT && root->bytes <= STATIC_LIMIT;
}

static void place_blob(Scheduler *s, Tensor *tensor)
{
    TensorPlan *plan = tensor_plan(tensor);
    int64_t shift = 0;
    Region *root = region_root(plan->region, &shift);
    if (is_static(root)) {
        if (plan->layout.storage != STORE_STATIC) list_push(s->arena, &s->plan->statics, tensor);
        plan->layout.storage = STORE_STATIC;
        return;
    }
    if (root->offset_bytes >= 0) return;
    root->offset_bytes = s->plan->blob_bytes;
    s->plan->blob_bytes = round_up(root->offset_bytes + root->bytes, BLOB_ALIGNMENT);
}

static int compare_blob(const void *a, const void *b)
{
    const Tensor *x = *(Tensor *const *)a, *y = *(Tensor *const *)b;
    int64_t p = tensor_layout(x)->offset_bytes, q = tensor_layout(y)->offset_bytes;
    return p < q ? -1 : p > q;
}

/* ------------------------------------------------------------------------------------------------------------------- */
static void set_offset(Scheduler *s, Tensor *tensor)
{
    TensorPlan *plan = tensor_plan(tensor);
    if (plan->layout.storage != STORE_ARENA && plan->layout.storage != STORE_BLOB) return;
    int64_t shift = plan->shift_bytes;
    const Region *root = region_root(plan->region, &shift);
    if (root->offset_bytes < 0) bug("schedule: %s has no place", tensor->name);
    plan->layout.offset_bytes = root->offset_bytes + shift;
    if (plan->layout.storage == STORE_BLOB) list_push(s->arena, &s->plan->blob, tensor);
}

void place(Scheduler *s)
{
    Region **roots = arena_new_array(s->scratch, Region *, s->regions.count + 1);
    int count = 0;
    for (int i = 0; i < s->regions.count; i++) {
        Region *region = s->regions.data[i];
        if (region->kind == REGION_ARENA && !region->parent) roots[count++] = region;
    }
    bound_arena(s, roots, count);
    bound_elements(s);
    place_arena(s, roots, count);
    for (int i = 0; i < s->calls.count; i++) {
        const Call *call = s->calls.data[i];
        for (int j = 0; j < call->reads.count; j++)
            if (tensor_layout(call->reads.data[j])->storage == STORE_BLOB) place_blob(s, call->reads.data[j]);
    }
    for (int i = 0; i < s->module->tensors.count; i++) set_offset(s, s->module->tensors.data[i]);
    if (s->plan->blob.count) qsort(s->plan->blob.data, (size_t)s->plan->blob.count, sizeof *s->plan->blob.data, compare_blob);
}
