/* One form's kernels and element functions as a module of LLVM IR, and the entries of the table.
 * In: a LoopForm.  Out: a module with one function a kernel: `void kernel(void *arguments, int task)`, itself the body that an executor calls. */
#include "emit_llvm/emit_private.h"

#include "support/bug.h"

#include <inttypes.h>
#include <string.h>

const char *kernel_symbol(Arena *arena, const LoopKernel *kernel)
{
    return arena_printf(arena, "gm_kernel_%d_%s", kernel->kernel->id, kernel->kernel->name);
}

/* "avx2,fma" → "+avx2,+fma". */
static const char *feature_list(Arena *arena, const char *attribute)
{
    Text text = text_new(arena);
    for (const char *at = attribute; *at;) {
        size_t length = strcspn(at, ",");
        text_printf(&text, "%s+%.*s", at == attribute ? "" : ",", (int)length, at);
        at += length + (at[length] == ',');
    }
    return text_string(&text);
}

static void add_text_attribute(Writer *writer, LLVMValueRef function, const char *key, const char *value)
{
    LLVMAttributeRef attribute = LLVMCreateStringAttribute(writer->context, key, (unsigned)strlen(key), value, (unsigned)strlen(value));
    LLVMAddAttributeAtIndex(function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, attribute);
}

static void add_attribute(Writer *writer, LLVMValueRef function, const char *name)
{
    unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    LLVMAddAttributeAtIndex(function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, LLVMCreateEnumAttribute(writer->context, kind, 0));
}

/* Vectors stay as wide as the form says: LLVM would rather split 512-bit ones. */
static void add_target_attributes(Writer *writer, LLVMValueRef function)
{
    const Target *target = writer->form->target;
    const char *bits = arena_printf(writer->arena, "%d", target->lanes > 1 ? 32 * target->lanes : 128);
    add_text_attribute(writer, function, "target-cpu", writer->cpu);
    if (*writer->features) add_text_attribute(writer, function, "target-features", writer->features);
    add_text_attribute(writer, function, "prefer-vector-width", bits);
    if (target->lanes > 1) add_text_attribute(writer, function, "min-legal-vector-width", bits);
    add_attribute(writer, function, "nounwind");
}

static void begin_function(Writer *writer, LLVMValueRef function, int lanes)
{
    writer->function = function;
    writer->lanes = lanes;
    writer->values = NULL, writer->changes = NULL, writer->value_count = 0;
    writer->buffers = NULL, writer->buffer_count = 0;
    writer->entry = LLVMAppendBasicBlockInContext(writer->context, function, "entry");
    LLVMBasicBlockRef body = LLVMAppendBasicBlockInContext(writer->context, function, "body");
    LLVMPositionBuilderAtEnd(writer->builder, body);
}

static void end_function(Writer *writer)
{
    LLVMPositionBuilderAtEnd(writer->builder, writer->entry);
    LLVMBuildBr(writer->builder, LLVMGetNextBasicBlock(writer->entry));
}

/* --- element functions -------------------------------------------------------------------------------------------- */

static LLVMValueRef write_table(Writer *writer, const LoopFunction *function)
{
    if (!function->table_count) return NULL;
    LLVMValueRef *entries = arena_new_array(writer->arena, LLVMValueRef, function->table_count);
    for (int i = 0; i < function->table_count; i++) entries[i] = LLVMConstReal(writer->f32, (double)function->table[i]);
    LLVMTypeRef type = LLVMArrayType(writer->f32, (unsigned)function->table_count);
    LLVMValueRef table = LLVMAddGlobal(writer->module, type, arena_printf(writer->arena, "%s_table", function->name));
    LLVMSetInitializer(table, LLVMConstArray(writer->f32, entries, (unsigned)function->table_count));
    LLVMSetGlobalConstant(table, true);
    LLVMSetLinkage(table, LLVMInternalLinkage);
    LLVMSetAlignment(table, 64);
    return table;
}

static void write_function(Writer *writer, int row, const LoopFunction *function)
{
    int lanes = row == 1 ? 1 : writer->form->target->lanes;
    writer->lanes = lanes;
    LLVMTypeRef type = value_type(writer, VALUE_VECTOR), parameters[2] = {type, type};
    const char *name = arena_printf(writer->arena, "%s%s", function->name, row ? "_one" : "");
    LLVMValueRef code = LLVMAddFunction(writer->module, name, LLVMFunctionType(type, parameters, (unsigned)function->parameter_count, false));
    LLVMSetLinkage(code, LLVMInternalLinkage);
    add_target_attributes(writer, code);
    add_attribute(writer, code, "alwaysinline");
    writer->functions[row][function->function] = code;
    begin_function(writer, code, lanes);
    writer->table = write_table(writer, function);
    for (int i = 0; i < function->parameter_count; i++) *variable_slot(writer, function->parameters[i]) = LLVMGetParam(code, (unsigned)i);
    write_block(writer, &function->body);
    LLVMBuildRet(writer->builder, write_value(writer, function->result));
    end_function(writer);
}

/* --- kernels ------------------------------------------------------------------------------------------------------ */

static void write_kernel(Writer *writer, const LoopKernel *loops)
{
    LLVMTypeRef parameters[] = {writer->pointer, writer->i32};
    LLVMValueRef code = LLVMAddFunction(writer->module, kernel_symbol(writer->arena, loops), LLVMFunctionType(writer->nothing, parameters, 2, false));
    add_target_attributes(writer, code);
    begin_function(writer, code, writer->form->target->lanes);
    writer->kernel = loops->kernel;
    writer->arguments = LLVMGetParam(code, 0);
    for (int i = 0; i < loops->buffers.count; i++) {
        const Buffer *buffer = loops->buffers.data[i];
        if (buffer->local) continue;
        LLVMValueRef place = integer_value(writer, buffer->parameter);
        LLVMValueRef address = LLVMBuildGEP2(writer->builder, writer->pointer, writer->arguments, &place, 1, "");
        *buffer_slot(writer, buffer) = LLVMBuildLoad2(writer->builder, writer->pointer, address, buffer->name);
    }
    if (loops->task) *variable_slot(writer, loops->task) = LLVMBuildSExt(writer->builder, LLVMGetParam(code, 1), writer->i64, loops->task->name);
    if (loops->threads) {
        LLVMValueRef place = integer_value(writer, loops->kernel->parameters.count + 1);
        LLVMValueRef address = LLVMBuildGEP2(writer->builder, writer->pointer, writer->arguments, &place, 1, "");
        address = LLVMBuildLoad2(writer->builder, writer->pointer, address, "");
        *variable_slot(writer, loops->threads) = LLVMBuildLoad2(writer->builder, writer->i64, address, loops->threads->name);
    }
    write_block(writer, &loops->body);
    LLVMBuildRetVoid(writer->builder);
    end_function(writer);
}

LLVMModuleRef write_form(Arena *arena, LLVMContextRef context, const LoopForm *form, const char *cpu)
{
    Writer writer = {.arena = arena, .context = context, .form = form, .cpu = cpu};
    writer.module = LLVMModuleCreateWithNameInContext(form->target->name, context);
    writer.builder = LLVMCreateBuilderInContext(context);
    writer.features = feature_list(arena, form->target->attribute);
    writer.f32 = LLVMFloatTypeInContext(context);
    writer.i1 = LLVMInt1TypeInContext(context);
    writer.i8 = LLVMInt8TypeInContext(context);
    writer.i32 = LLVMInt32TypeInContext(context);
    writer.i64 = LLVMInt64TypeInContext(context);
    writer.pointer = LLVMPointerTypeInContext(context, 0);
    writer.nothing = LLVMVoidTypeInContext(context);
    for (int i = 0; i < form->scalar_functions.count; i++) write_function(&writer, 1, form->scalar_functions.data[i]);
    for (int i = 0; i < form->functions.count; i++) write_function(&writer, 0, form->functions.data[i]);
    for (int i = 0; i < form->kernels.count; i++) write_kernel(&writer, form->kernels.data[i]);
    LLVMDisposeBuilder(writer.builder);
    return writer.module;
}

/* --- entries ------------------------------------------------------------------------------------------------------ */

/* The table's functions have no argument that says whose they are, so each model gets its own, which add its owner:
 *   TYPE gm_entry_NAME(arguments…) { return HOST(owner, arguments…); } */
static void write_entry(LLVMModuleRef module, LLVMBuilderRef builder, const void *owner, const Entry *entry)
{
    LLVMContextRef context = LLVMGetModuleContext(module);
    LLVMTypeRef i64 = LLVMInt64TypeInContext(context), pointer = LLVMPointerTypeInContext(context, 0);
    LLVMTypeRef types[8] = {pointer};
    LLVMTypeRef result = entry->returns_pointer ? pointer : LLVMInt32TypeInContext(context);
    int count = (int)strlen(entry->arguments);
    for (int i = 0; i < count; i++) types[i + 1] = entry->arguments[i] == 'p' ? pointer : i64;
    LLVMValueRef function = LLVMAddFunction(module, entry->symbol, LLVMFunctionType(result, types + 1, (unsigned)count, false));
    LLVMPositionBuilderAtEnd(builder, LLVMAppendBasicBlockInContext(context, function, "entry"));
    LLVMValueRef arguments[8] = {LLVMConstIntToPtr(LLVMConstInt(i64, (uintptr_t)owner, false), pointer)};
    for (int i = 0; i < count; i++) arguments[i + 1] = LLVMGetParam(function, (unsigned)i);
    LLVMValueRef host = LLVMConstIntToPtr(LLVMConstInt(i64, entry->host, false), pointer);
    LLVMBuildRet(builder, LLVMBuildCall2(builder, LLVMFunctionType(result, types, (unsigned)count + 1, false), host, arguments, (unsigned)count + 1, ""));
}

void write_entries(LLVMModuleRef module, const void *owner, const Entry *entries, int count)
{
    LLVMBuilderRef builder = LLVMCreateBuilderInContext(LLVMGetModuleContext(module));
    for (int i = 0; i < count; i++) write_entry(module, builder, owner, &entries[i]);
    LLVMDisposeBuilder(builder);
}
