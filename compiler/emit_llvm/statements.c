/* Statements of the loop IR as LLVM blocks.
 * In: a block of statements.  Out: instructions. Variables that change live in allocas, which the optimiser turns into registers; loops
 * marked unrolled are written out turn by turn. */
#include "emit_llvm/emit_private.h"

#include "support/bug.h"

#include <string.h>

static LLVMValueRef *slot(Arena *arena, LLVMValueRef **list, int *count, int id, bool **flags)
{
    if (id < 0) bug("a variable or buffer has id %d", id);
    if (id >= *count) {
        int bigger = *count * 2 > id + 64 ? *count * 2 : id + 64;
        LLVMValueRef *grown = arena_new_array(arena, LLVMValueRef, bigger);
        bool *marks = flags ? arena_new_array(arena, bool, bigger) : NULL;
        if (*count) memcpy(grown, *list, (size_t)*count * sizeof **list);
        if (*count && flags) memcpy(marks, *flags, (size_t)*count * sizeof **flags);
        *list = grown;
        *count = bigger;
        if (flags) *flags = marks;
    }
    return &(*list)[id];
}

LLVMValueRef *variable_slot(Writer *writer, const Variable *variable)
{
    return slot(writer->arena, &writer->values, &writer->value_count, variable->id, &writer->changes);
}

LLVMValueRef *buffer_slot(Writer *writer, const Buffer *buffer)
{
    return slot(writer->arena, &writer->buffers, &writer->buffer_count, buffer->id, NULL);
}

LLVMValueRef entry_alloca(Writer *writer, LLVMTypeRef type, const char *name, unsigned alignment)
{
    LLVMBuilderRef builder = LLVMCreateBuilderInContext(writer->context);
    LLVMPositionBuilderAtEnd(builder, writer->entry);
    LLVMValueRef memory = LLVMBuildAlloca(builder, type, name);
    if (alignment) LLVMSetAlignment(memory, alignment);
    LLVMDisposeBuilder(builder);
    return memory;
}

static void define(Writer *writer, const Variable *variable, LLVMValueRef value)
{
    *variable_slot(writer, variable) = value;
    writer->changes[variable->id] = false;
}

static void declare(Writer *writer, const Variable *variable, LLVMValueRef value)
{
    LLVMValueRef *memory = variable_slot(writer, variable);
    if (!*memory || !writer->changes[variable->id]) *memory = entry_alloca(writer, value_type(writer, variable->type), variable->name, 0);
    writer->changes[variable->id] = true;
    LLVMBuildStore(writer->builder, value, *memory);
}

/* --- loops -------------------------------------------------------------------------------------------------------- */

enum { MOST_TURNS = 32 };

static bool constant_turns(const Statement *statement, int64_t *turns)
{
    if (statement->from->op != OP_INT || statement->to->op != OP_INT) return false;
    int64_t step = statement->step->whole, span = statement->to->whole - statement->from->whole;
    *turns = span <= 0 ? 0 : (span + step - 1) / step;
    return true;
}

/* Whether the counter hits the end exactly: a loop that ends at equality can count in any register that moves with it. */
static bool ends_exactly(const Statement *statement)
{
    const Value *from = statement->from, *to = statement->to, *step = statement->step;
    return step->whole == 1 || (from->op == OP_INT && to->op == OP_INT && (to->whole - from->whole) % step->whole == 0);
}

/* if (from < to) do body while ((i += step) < to); the optimiser finds the loop already in this form. */
static void write_loop(Writer *writer, const Statement *statement)
{
    LLVMBuilderRef builder = writer->builder;
    LLVMValueRef from = write_value(writer, statement->from), to = write_value(writer, statement->to);
    LLVMBasicBlockRef body = LLVMAppendBasicBlockInContext(writer->context, writer->function, statement->variable->name);
    LLVMBasicBlockRef after = LLVMAppendBasicBlockInContext(writer->context, writer->function, "after");
    LLVMBasicBlockRef before = LLVMGetInsertBlock(builder);
    LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntSLT, from, to, ""), body, after);
    LLVMPositionBuilderAtEnd(builder, body);
    LLVMValueRef counter = LLVMBuildPhi(builder, writer->i64, statement->variable->name);
    define(writer, statement->variable, counter);
    write_block(writer, &statement->body);
    LLVMValueRef next = LLVMBuildNSWAdd(builder, counter, write_value(writer, statement->step), "");
    LLVMBasicBlockRef end = LLVMGetInsertBlock(builder);
    LLVMBuildCondBr(builder, LLVMBuildICmp(builder, ends_exactly(statement) ? LLVMIntNE : LLVMIntSLT, next, to, ""), body, after);
    LLVMValueRef values[] = {from, next};
    LLVMBasicBlockRef blocks[] = {before, end};
    LLVMAddIncoming(counter, values, blocks, 2);
    LLVMPositionBuilderAtEnd(builder, after);
}

static void write_for(Writer *writer, const Statement *statement)
{
    int64_t turns;
    if (statement->step->op != OP_INT || statement->step->whole < 1) bug("the step of loop %s is no positive constant", statement->variable->name);
    if (!constant_turns(statement, &turns) || (!statement->unrolled && turns > 1) || turns > MOST_TURNS) {
        write_loop(writer, statement);
        return;
    }
    for (int64_t turn = 0; turn < turns; turn++) {
        define(writer, statement->variable, integer_value(writer, statement->from->whole + turn * statement->step->whole));
        write_block(writer, &statement->body);
    }
}

/* --- the others --------------------------------------------------------------------------------------------------- */

static LLVMValueRef narrowed(Writer *writer, const Buffer *buffer, const Value *value)
{
    LLVMValueRef result = write_value(writer, value);
    if (buffer->type == TYPE_F32) return result;
    LLVMTypeRef type = element_llvm_type(writer, buffer->type);
    if (value->type != VALUE_INT && value->type != VALUE_I32) return LLVMBuildFreeze(writer->builder, LLVMBuildFPToSI(writer->builder, result, type, ""), "");
    return LLVMBuildIntCast2(writer->builder, result, type, true, "");
}

static void write_store(Writer *writer, const Statement *statement)
{
    const Buffer *buffer = statement->buffer;
    bool vector = value_is_vector(writer, statement->value->type);
    LLVMValueRef value = vector ? write_value(writer, statement->value) : narrowed(writer, buffer, statement->value);
    LLVMValueRef address = buffer_address(writer, buffer, write_value(writer, statement->subscript));
    if (vector && statement->part) {
        call_masked(writer, true, address, lane_mask(writer, write_value(writer, statement->part)), value);
        return;
    }
    LLVMValueRef store = LLVMBuildStore(writer->builder, value, address);
    unsigned size = (unsigned)element_type_size(buffer->type);
    LLVMSetAlignment(store, vector && statement->aligned ? size * (unsigned)writer->lanes : size);
}

static void write_if(Writer *writer, const Statement *statement)
{
    LLVMBasicBlockRef yes = LLVMAppendBasicBlockInContext(writer->context, writer->function, "if");
    LLVMBasicBlockRef after = LLVMAppendBasicBlockInContext(writer->context, writer->function, "after");
    LLVMBasicBlockRef no = statement->otherwise.count ? LLVMAppendBasicBlockInContext(writer->context, writer->function, "else") : after;
    LLVMBuildCondBr(writer->builder, write_value(writer, statement->value), yes, no);
    LLVMPositionBuilderAtEnd(writer->builder, yes);
    write_block(writer, &statement->body);
    LLVMBuildBr(writer->builder, after);
    if (no != after) {
        LLVMPositionBuilderAtEnd(writer->builder, no);
        write_block(writer, &statement->otherwise);
        LLVMBuildBr(writer->builder, after);
    }
    LLVMPositionBuilderAtEnd(writer->builder, after);
}

static void write_prefetch(Writer *writer, const Statement *statement)
{
    if (writer->form->target->lanes == 1) return;
    LLVMValueRef address = buffer_address(writer, statement->buffer, write_value(writer, statement->subscript));
    bool written = statement->buffer->written;
    LLVMValueRef arguments[] = {address, LLVMConstInt(writer->i32, written ? 1 : 0, false), LLVMConstInt(writer->i32, written ? 3 : 2, false),
                                LLVMConstInt(writer->i32, 1, false)};
    call_intrinsic(writer, "llvm.prefetch", &writer->pointer, 1, arguments, 4);
}

/* if (*status == 0) *status = the kernel's input; the status' address stands after the parameters'. */
static void write_status(Writer *writer)
{
    LLVMBuilderRef builder = writer->builder;
    LLVMValueRef place = integer_value(writer, writer->kernel->parameters.count);
    LLVMValueRef status = LLVMBuildLoad2(builder, writer->pointer, LLVMBuildGEP2(builder, writer->pointer, writer->arguments, &place, 1, ""), "");
    LLVMValueRef old = LLVMBuildLoad2(builder, writer->i32, status, "");
    LLVMValueRef code = LLVMConstInt(writer->i32, (unsigned long long)writer->kernel->status_input, false);
    LLVMValueRef first = LLVMBuildICmp(builder, LLVMIntEQ, old, LLVMConstInt(writer->i32, 0, false), "");
    LLVMBuildStore(builder, LLVMBuildSelect(builder, first, code, old, ""), status);
}

static void write_statement(Writer *writer, const Statement *statement)
{
    switch (statement->kind) {
    case LOOP_FOR: write_for(writer, statement); break;
    case LOOP_LET: define(writer, statement->variable, write_value(writer, statement->value)); break;
    case LOOP_DECLARE: declare(writer, statement->variable, write_value(writer, statement->value)); break;
    case LOOP_SET: LLVMBuildStore(writer->builder, write_value(writer, statement->value), *variable_slot(writer, statement->variable)); break;
    case LOOP_STORE: write_store(writer, statement); break;
    case LOOP_ARRAY: {
        LLVMTypeRef type = LLVMArrayType(element_llvm_type(writer, statement->buffer->type), (unsigned)statement->buffer->count);
        LLVMValueRef *memory = buffer_slot(writer, statement->buffer);
        if (!*memory) *memory = entry_alloca(writer, type, statement->buffer->name, 64);
        break;
    }
    case LOOP_IF: write_if(writer, statement); break;
    case LOOP_PREFETCH: write_prefetch(writer, statement); break;
    case LOOP_STATUS: write_status(writer); break;
    case LOOP_COMMENT: break;
    }
}

void write_block(Writer *writer, const Block *block)
{
    for (int i = 0; i < block->count; i++) write_statement(writer, block->data[i]);
}
