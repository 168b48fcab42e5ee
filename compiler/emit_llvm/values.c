/* Values of the loop IR as LLVM values.
 * In: a tree of operations, typed.  Out: instructions at the builder's place. Operations mean here bit for bit what the C back end's hooks do.
 * What may not be executed when a condition fails (a load, a division) gets its own block. */
#include "emit_llvm/emit_private.h"

#include "support/bug.h"

#include <llvm/Config/llvm-config.h>
#include <string.h>

enum { MOST_LANES = 64 };

static LLVMValueRef operand(Writer *writer, const Value *value, int which)
{
    return write_value(writer, value->operands[which]);
}

bool value_is_vector(const Writer *writer, ValueType type)
{
    return writer->lanes > 1 && (type == VALUE_VECTOR || type == VALUE_IVECTOR || type == VALUE_MASK);
}

LLVMTypeRef value_type(const Writer *writer, ValueType type)
{
    LLVMTypeRef scalar = NULL;
    switch (type) {
    case VALUE_INT: return writer->i64;
    case VALUE_FLAG: return writer->i1;
    case VALUE_FLOAT: return writer->f32;
    case VALUE_I32: return writer->i32;
    case VALUE_VECTOR: scalar = writer->f32; break;
    case VALUE_IVECTOR: scalar = writer->i32; break;
    case VALUE_MASK: scalar = writer->i1; break;
    }
    return writer->lanes > 1 ? LLVMVectorType(scalar, (unsigned)writer->lanes) : scalar;
}

LLVMTypeRef element_llvm_type(const Writer *writer, ElementType type)
{
    switch (type) {
    case TYPE_F32: return writer->f32;
    case TYPE_I32: return writer->i32;
    case TYPE_I64: return writer->i64;
    case TYPE_U8: return writer->i8;
    }
    bug("element type %d", (int)type);
}

LLVMValueRef integer_value(const Writer *writer, int64_t whole)
{
    return LLVMConstInt(writer->i64, (unsigned long long)whole, true);
}

LLVMValueRef call_intrinsic(Writer *writer, const char *name, LLVMTypeRef *types, int type_count, LLVMValueRef *arguments, int count)
{
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    if (!id) bug("LLVM has no %s", name);
    LLVMValueRef function = LLVMGetIntrinsicDeclaration(writer->module, id, types, (size_t)type_count);
    LLVMTypeRef type = LLVMIntrinsicGetType(writer->context, id, types, (size_t)type_count);
    return LLVMBuildCall2(writer->builder, type, function, arguments, (unsigned)count, "");
}

/* --- constants ---------------------------------------------------------------------------------------------------- */

static LLVMValueRef constant_lanes(const Writer *writer, LLVMValueRef *lanes)
{
    return LLVMConstVector(lanes, (unsigned)writer->lanes);
}

static LLVMValueRef constant_splat(const Writer *writer, LLVMValueRef scalar)
{
    LLVMValueRef lanes[MOST_LANES];
    for (int i = 0; i < writer->lanes; i++) lanes[i] = scalar;
    return constant_lanes(writer, lanes);
}

static LLVMValueRef number(const Writer *writer, const Value *value)
{
    LLVMValueRef scalar = LLVMConstReal(writer->f32, (double)(float)value->number);
    return value_is_vector(writer, value->type) ? constant_splat(writer, scalar) : scalar;
}

static LLVMValueRef whole_number(const Writer *writer, const Value *value)
{
    if (value->type == VALUE_INT) return integer_value(writer, value->whole);
    LLVMValueRef scalar = LLVMConstInt(writer->i32, (unsigned long long)value->whole, true);
    return value_is_vector(writer, value->type) ? constant_splat(writer, scalar) : scalar;
}

/* 0, 1, 2 … as f32. */
static LLVMValueRef lane_numbers(const Writer *writer)
{
    LLVMValueRef lanes[MOST_LANES];
    for (int i = 0; i < writer->lanes; i++) lanes[i] = LLVMConstReal(writer->f32, i);
    return writer->lanes > 1 ? constant_lanes(writer, lanes) : lanes[0];
}

static LLVMValueRef splat(Writer *writer, LLVMValueRef scalar)
{
    if (writer->lanes == 1) return scalar;
    LLVMTypeRef type = LLVMVectorType(LLVMTypeOf(scalar), (unsigned)writer->lanes);
    LLVMValueRef one = LLVMBuildInsertElement(writer->builder, LLVMGetPoison(type), scalar, LLVMConstInt(writer->i32, 0, false), "");
    LLVMValueRef zeros = LLVMConstNull(LLVMVectorType(writer->i32, (unsigned)writer->lanes));
    return LLVMBuildShuffleVector(writer->builder, one, LLVMGetPoison(type), zeros, "");
}

LLVMValueRef lane_mask(Writer *writer, LLVMValueRef count)
{
    LLVMValueRef lanes[MOST_LANES];
    for (int i = 0; i < writer->lanes; i++) lanes[i] = LLVMConstInt(writer->i32, (unsigned)i, false);
    LLVMValueRef short_count = LLVMBuildTrunc(writer->builder, count, writer->i32, "");
    return LLVMBuildICmp(writer->builder, LLVMIntULT, constant_lanes(writer, lanes), splat(writer, short_count), "");
}

/* --- memory ------------------------------------------------------------------------------------------------------- */

/* The constant that a subscript ends with, which is taken from it. */
static int64_t take_constant(LLVMValueRef *subscript)
{
    bool sum = LLVMIsAInstruction(*subscript) && LLVMGetInstructionOpcode(*subscript) == LLVMAdd;
    LLVMValueRef last = sum ? LLVMGetOperand(*subscript, 1) : NULL;
    if (!sum || !LLVMIsAConstantInt(last)) return 0;
    *subscript = LLVMGetOperand(*subscript, 0);
    return LLVMConstIntGetSExtValue(last);
}

/* Addresses a constant apart share what comes before the constant, which becomes the displacement of an instruction. */
LLVMValueRef buffer_address(Writer *writer, const Buffer *buffer, LLVMValueRef subscript)
{
    LLVMTypeRef element = element_llvm_type(writer, buffer->type);
    LLVMValueRef constant = integer_value(writer, take_constant(&subscript));
    LLVMValueRef address = LLVMBuildGEP2(writer->builder, element, *buffer_slot(writer, buffer), &subscript, 1, "");
    return LLVMIsNull(constant) ? address : LLVMBuildGEP2(writer->builder, element, address, &constant, 1, "");
}

LLVMValueRef call_masked(Writer *writer, bool stores, LLVMValueRef address, LLVMValueRef mask, LLVMValueRef value)
{
    LLVMTypeRef types[] = {LLVMTypeOf(value), writer->pointer};
    LLVMValueRef arguments[4];
    int count = 0;
    if (stores) arguments[count++] = value;
    arguments[count++] = address;
    if (LLVM_VERSION_MAJOR < 22) arguments[count++] = LLVMConstInt(writer->i32, 4, false); /* the alignment, an attribute since */
    arguments[count++] = mask;
    if (!stores) arguments[count++] = value;
    return call_intrinsic(writer, stores ? "llvm.masked.store" : "llvm.masked.load", types, 2, arguments, count);
}

static LLVMValueRef load(Writer *writer, const Value *value)
{
    const Buffer *buffer = value->buffer;
    LLVMValueRef address = buffer_address(writer, buffer, operand(writer, value, 0));
    if (value->op == OP_LOAD || !value_is_vector(writer, value->type)) {
        LLVMValueRef element = LLVMBuildLoad2(writer->builder, element_llvm_type(writer, buffer->type), address, "");
        LLVMSetAlignment(element, (unsigned)element_type_size(buffer->type));
        if (buffer->type == TYPE_I32) return LLVMBuildSExt(writer->builder, element, writer->i64, "");
        if (buffer->type == TYPE_U8) return LLVMBuildZExt(writer->builder, element, writer->i64, "");
        return element;
    }
    LLVMTypeRef type = value_type(writer, value->type);
    if (value->op == OP_LOAD_PART) return call_masked(writer, false, address, lane_mask(writer, operand(writer, value, 1)), LLVMConstNull(type));
    LLVMValueRef vector = LLVMBuildLoad2(writer->builder, type, address, "");
    LLVMSetAlignment(vector, value->whole ? 4u * (unsigned)writer->lanes : 4u);
    return vector;
}

/* --- arithmetic --------------------------------------------------------------------------------------------------- */

static bool is_real(ValueType type)
{
    return type == VALUE_FLOAT || type == VALUE_VECTOR;
}

static LLVMValueRef arithmetic(Writer *writer, const Value *value)
{
    LLVMBuilderRef builder = writer->builder;
    LLVMValueRef a = operand(writer, value, 0), b = operand(writer, value, 1);
    bool real = is_real(value->type);
    switch ((int)value->op) {
    case OP_ADD: return real ? LLVMBuildFAdd(builder, a, b, "") : LLVMBuildAdd(builder, a, b, "");
    case OP_SUB: return real ? LLVMBuildFSub(builder, a, b, "") : LLVMBuildSub(builder, a, b, "");
    case OP_MUL: return real ? LLVMBuildFMul(builder, a, b, "") : LLVMBuildMul(builder, a, b, "");
    case OP_DIV: return LLVMBuildFDiv(builder, a, b, "");
    default: bug("arithmetic %d", (int)value->op);
    }
}

static void call_attribute(LLVMValueRef call, unsigned place, const char *name, LLVMTypeRef type)
{
    LLVMContextRef context = LLVMGetTypeContext(LLVMTypeOf(call));
    unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    LLVMAddCallSiteAttribute(call, place, type ? LLVMCreateTypeAttribute(context, kind, type) : LLVMCreateEnumAttribute(context, kind, 0));
}

/* *p in every lane, times b, plus c, as one instruction: LLVM would spread *p first when it is used twice. The address is a register and a
 * displacement, since with an index the instruction would be two inside of the processor; the operand in memory only says that it reads. */
static LLVMValueRef fused_spread(Writer *writer, const Value *scalar, LLVMValueRef b, LLVMValueRef c)
{
    char operands[] = "=v,v,r,*m,0";
    LLVMValueRef whole = operand(writer, scalar, 0), subscript = whole;
    int64_t displacement = 4 * take_constant(&subscript);
    if (displacement != (int32_t)displacement) subscript = whole, displacement = 0;
    char *text = arena_printf(writer->arena, "vfmadd231ps %d($2){1to16}, $1, $0", (int)displacement);
    LLVMTypeRef vector = LLVMTypeOf(b), types[] = {vector, writer->pointer, writer->pointer, vector};
    LLVMTypeRef type = LLVMFunctionType(vector, types, 4, false);
    LLVMValueRef base = buffer_address(writer, scalar->buffer, subscript), arguments[] = {b, base, base, c};
    LLVMValueRef code = LLVMGetInlineAsm(type, text, strlen(text), operands, strlen(operands), false, false, LLVMInlineAsmDialectATT, false);
    LLVMValueRef call = LLVMBuildCall2(writer->builder, type, code, arguments, 4, "");
    call_attribute(call, 3, "elementtype", writer->f32);
    call_attribute(call, (unsigned)LLVMAttributeFunctionIndex, "nounwind", NULL);
    return call;
}

/* A multiply-add that takes one element of memory for all its lanes. */
static bool spreads(const Writer *writer, const Value *value)
{
    const Value *a = value->operands[0], *element = a->op == OP_SPLAT ? a->operands[0] : NULL;
    return writer->form->target->spreads && value_is_vector(writer, value->type) && element && element->op == OP_LOAD && element->buffer->type == TYPE_F32;
}

static LLVMValueRef fused(Writer *writer, const Value *value)
{
    if (spreads(writer, value)) return fused_spread(writer, value->operands[0]->operands[0], operand(writer, value, 1), operand(writer, value, 2));
    LLVMValueRef arguments[] = {operand(writer, value, 0), operand(writer, value, 1), operand(writer, value, 2)};
    if (writer->form->target->lanes == 1 && !writer->form->reproducible)
        return LLVMBuildFAdd(writer->builder, LLVMBuildFMul(writer->builder, arguments[0], arguments[1], ""), arguments[2], "");
    LLVMTypeRef type = value_type(writer, value->type);
    return call_intrinsic(writer, "llvm.fma", &type, 1, arguments, 3);
}

static LLVMValueRef choose(Writer *writer, LLVMValueRef condition, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildSelect(writer->builder, condition, a, b, "");
}

/* a < b ? a : b, or a > b ? a : b. */
static LLVMValueRef extreme_of(Writer *writer, bool real, bool min, LLVMValueRef a, LLVMValueRef b)
{
    LLVMValueRef first = real ? LLVMBuildFCmp(writer->builder, min ? LLVMRealOLT : LLVMRealOGT, a, b, "")
                              : LLVMBuildICmp(writer->builder, min ? LLVMIntSLT : LLVMIntSGT, a, b, "");
    return choose(writer, first, a, b);
}

static LLVMValueRef unary(Writer *writer, const Value *value, const char *intrinsic)
{
    LLVMValueRef a = operand(writer, value, 0);
    LLVMTypeRef type = value_type(writer, value->type);
    return call_intrinsic(writer, intrinsic, &type, 1, &a, 1);
}

static LLVMValueRef negated(Writer *writer, const Value *value)
{
    LLVMValueRef a = operand(writer, value, 0);
    return is_real(value->type) ? LLVMBuildFNeg(writer->builder, a, "") : LLVMBuildNeg(writer->builder, a, "");
}

static LLVMValueRef absolute(Writer *writer, const Value *value)
{
    if (value->type != VALUE_INT) return unary(writer, value, "llvm.fabs");
    LLVMValueRef a = operand(writer, value, 0);
    return choose(writer, LLVMBuildICmp(writer->builder, LLVMIntSLT, a, integer_value(writer, 0), ""), LLVMBuildNeg(writer->builder, a, ""), a);
}

static LLVMValueRef least_size(Writer *writer, const Value *value)
{
    LLVMValueRef a = operand(writer, value, 0), b = operand(writer, value, 1);
    if (value_is_vector(writer, value->type) && writer->lanes == 16) {
        LLVMValueRef all = LLVMConstAllOnes(LLVMInt16TypeInContext(writer->context));
        LLVMValueRef arguments[] = {a, b, LLVMConstInt(writer->i32, 10, false), a, all, LLVMConstInt(writer->i32, 4, false)};
        return call_intrinsic(writer, "llvm.x86.avx512.mask.range.ps.512", NULL, 0, arguments, 6);
    }
    LLVMTypeRef type = value_type(writer, value->type);
    return extreme_of(writer, true, true, b, call_intrinsic(writer, "llvm.fabs", &type, 1, &a, 1));
}

static LLVMValueRef positive_part(Writer *writer, const Value *value)
{
    LLVMValueRef a = operand(writer, value, 0);
    LLVMTypeRef type = value_type(writer, value->type);
    if (value_is_vector(writer, value->type) && writer->lanes == 16) { /* by class of a: see gm_v16_positive */
        LLVMValueRef table = constant_splat(writer, LLVMConstInt(writer->i32, 0x18131122, false)), all = LLVMConstAllOnes(LLVMInt16TypeInContext(writer->context));
        LLVMValueRef arguments[] = {a, a, table, LLVMConstInt(writer->i32, 0, false), all, LLVMConstInt(writer->i32, 4, false)};
        return call_intrinsic(writer, "llvm.x86.avx512.maskz.fixupimm.ps.512", NULL, 0, arguments, 6);
    }
    return LLVMBuildFSub(writer->builder, a, extreme_of(writer, true, true, a, LLVMConstNull(type)), "");
}

/* Floored quotient and its remainder; powers of two are a shift and a mask. */
static LLVMValueRef floored(Writer *writer, const Value *value)
{
    LLVMBuilderRef builder = writer->builder;
    const Value *divisor = value->operands[1];
    bool quotient = value->op == OP_FLOORDIV;
    LLVMValueRef a = operand(writer, value, 0);
    if (divisor->op == OP_INT && divisor->whole > 0 && (divisor->whole & (divisor->whole - 1)) == 0) {
        int shift = 0;
        while (divisor->whole >> shift != 1) shift++;
        return quotient ? LLVMBuildAShr(builder, a, integer_value(writer, shift), "") : LLVMBuildAnd(builder, a, integer_value(writer, divisor->whole - 1), "");
    }
    LLVMValueRef b = write_value(writer, divisor), zero = integer_value(writer, 0);
    LLVMValueRef rest = LLVMBuildSRem(builder, a, b, "");
    LLVMValueRef signs = LLVMBuildICmp(builder, LLVMIntSLT, LLVMBuildXor(builder, rest, b, ""), zero, "");
    LLVMValueRef off = LLVMBuildAnd(builder, LLVMBuildICmp(builder, LLVMIntNE, rest, zero, ""), signs, "");
    if (!quotient) return choose(writer, off, LLVMBuildAdd(builder, rest, b, ""), rest);
    LLVMValueRef down = LLVMBuildSDiv(builder, a, b, "");
    return LLVMBuildSub(builder, down, LLVMBuildZExt(builder, off, writer->i64, ""), "");
}

static LLVMValueRef compare(Writer *writer, const Value *value)
{
    static const LLVMRealPredicate reals[] = {LLVMRealOLT, LLVMRealOLE, LLVMRealOEQ, LLVMRealUNE};
    static const LLVMIntPredicate wholes[] = {LLVMIntSLT, LLVMIntSLE, LLVMIntEQ, LLVMIntNE};
    int which = value->op == OP_LT ? 0 : value->op == OP_LE ? 1 : value->op == OP_EQ ? 2 : 3;
    LLVMValueRef a = operand(writer, value, 0), b = operand(writer, value, 1);
    if (is_real(value->operands[0]->type)) return LLVMBuildFCmp(writer->builder, reals[which], a, b, "");
    return LLVMBuildICmp(writer->builder, wholes[which], a, b, "");
}

/* --- conditions --------------------------------------------------------------------------------------------------- */

/* Whether computing it may fault, so that it must wait for its condition. */
static bool may_fault(const Value *value)
{
    if (!value) return false;
    if (value->op == OP_LOAD || value->op == OP_LOAD_VECTOR || value->op == OP_LOAD_PART) return true;
    if ((value->op == OP_FLOORDIV || value->op == OP_MOD) && value->operands[1]->op != OP_INT) return true;
    for (int i = 0; i < 4; i++)
        if (may_fault(value->operands[i])) return true;
    return false;
}

/* condition ? yes : no, where only one of them is computed; a NULL side is the constant `fixed`. */
static LLVMValueRef branch(Writer *writer, LLVMValueRef condition, const Value *yes, const Value *no, LLVMValueRef fixed, LLVMTypeRef type)
{
    LLVMBasicBlockRef blocks[2], ends[2];
    LLVMBasicBlockRef join = LLVMAppendBasicBlockInContext(writer->context, writer->function, "join");
    blocks[0] = LLVMAppendBasicBlockInContext(writer->context, writer->function, "yes");
    blocks[1] = LLVMAppendBasicBlockInContext(writer->context, writer->function, "no");
    LLVMBuildCondBr(writer->builder, condition, blocks[0], blocks[1]);
    const Value *sides[] = {yes, no};
    LLVMValueRef results[2];
    for (int i = 0; i < 2; i++) {
        LLVMPositionBuilderAtEnd(writer->builder, blocks[i]);
        results[i] = sides[i] ? write_value(writer, sides[i]) : fixed;
        ends[i] = LLVMGetInsertBlock(writer->builder);
        LLVMBuildBr(writer->builder, join);
    }
    LLVMPositionBuilderAtEnd(writer->builder, join);
    LLVMValueRef phi = LLVMBuildPhi(writer->builder, type, "");
    LLVMAddIncoming(phi, results, ends, 2);
    return phi;
}

static LLVMValueRef choice(Writer *writer, const Value *value)
{
    const Value *condition = value->operands[0], *yes = value->operands[1], *no = value->operands[2];
    LLVMValueRef flag = write_value(writer, condition);
    if (!value_is_vector(writer, condition->type) && (may_fault(yes) || may_fault(no)))
        return branch(writer, flag, yes, no, NULL, value_type(writer, value->type));
    LLVMValueRef a = write_value(writer, yes);
    return choose(writer, flag, a, write_value(writer, no));
}

static LLVMValueRef logical(Writer *writer, const Value *value)
{
    LLVMValueRef a = operand(writer, value, 0);
    bool and = value->op == OP_AND;
    if (!value_is_vector(writer, value->type) && (value->type == VALUE_FLAG || value->type == VALUE_MASK) && may_fault(value->operands[1])) {
        LLVMValueRef known = LLVMConstInt(writer->i1, and ? 0 : 1, false);
        return branch(writer, a, and ? value->operands[1] : NULL, and ? NULL : value->operands[1], known, writer->i1);
    }
    LLVMValueRef b = operand(writer, value, 1);
    return and ? LLVMBuildAnd(writer->builder, a, b, "") : LLVMBuildOr(writer->builder, a, b, "");
}

/* --- conversions -------------------------------------------------------------------------------------------------- */

static LLVMValueRef convert(Writer *writer, const Value *value)
{
    LLVMBuilderRef builder = writer->builder;
    LLVMValueRef a = operand(writer, value, 0);
    LLVMTypeRef type = value_type(writer, value->type);
    switch ((int)value->op) {
    case OP_SPLAT:
    case OP_SPLAT_FLAG: return splat(writer, a);
    case OP_TO_FLOAT: return LLVMBuildSIToFP(builder, a, type, "");
    /* Out of range the result is not used; it must not spoil what it is combined with. */
    case OP_TO_INT: return LLVMBuildFreeze(builder, LLVMBuildFPToSI(builder, a, type, ""), "");
    case OP_BITS_TO_FLOAT:
    case OP_FLOAT_TO_BITS: return LLVMBuildBitCast(builder, a, type, "");
    default: bug("conversion %d", (int)value->op);
    }
}

static LLVMValueRef shift(Writer *writer, const Value *value)
{
    LLVMValueRef count = LLVMConstInt(writer->i32, (unsigned long long)value->whole, false), a = operand(writer, value, 0);
    if (value_is_vector(writer, value->type)) count = constant_splat(writer, count);
    return value->op == OP_SHIFT_LEFT ? LLVMBuildShl(writer->builder, a, count, "") : LLVMBuildAShr(writer->builder, a, count, "");
}

/* --- tables and powers of two ------------------------------------------------------------------------------------- */

static LLVMValueRef splat_whole(Writer *writer, int64_t whole, bool vector)
{
    LLVMValueRef scalar = LLVMConstInt(writer->i32, (unsigned long long)whole, true);
    return vector ? constant_splat(writer, scalar) : scalar;
}

/* a * 2^b, in two steps where there is no instruction: 2^b may lie outside the normal range where the result does not. */
static LLVMValueRef scale(Writer *writer, const Value *value)
{
    LLVMBuilderRef builder = writer->builder;
    LLVMValueRef a = operand(writer, value, 0), b = operand(writer, value, 1);
    bool vector = value_is_vector(writer, value->type);
    if (vector && writer->lanes == 16) {
        LLVMValueRef arguments[] = {a, b, a, LLVMConstAllOnes(LLVMInt16TypeInContext(writer->context)), LLVMConstInt(writer->i32, 4, false)};
        return call_intrinsic(writer, "llvm.x86.avx512.mask.scalef.ps.512", NULL, 0, arguments, 5);
    }
    LLVMTypeRef real = value_type(writer, value->type), whole_type = vector ? value_type(writer, VALUE_IVECTOR) : writer->i32;
    LLVMValueRef whole = LLVMBuildFreeze(builder, LLVMBuildFPToSI(builder, b, whole_type, ""), "");
    LLVMValueRef half = LLVMBuildAShr(builder, whole, splat_whole(writer, 1, vector), "");
    LLVMValueRef steps[] = {half, LLVMBuildSub(builder, whole, half, "")};
    for (int i = 0; i < 2; i++) {
        LLVMValueRef biased = LLVMBuildAdd(builder, steps[i], splat_whole(writer, 127, vector), "");
        LLVMValueRef power = LLVMBuildBitCast(builder, LLVMBuildShl(builder, biased, splat_whole(writer, 23, vector), ""), real, "");
        a = LLVMBuildFMul(builder, a, power, "");
    }
    return a;
}

static LLVMValueRef table_vector(Writer *writer, int first, int count)
{
    LLVMValueRef place = integer_value(writer, first);
    LLVMValueRef address = LLVMBuildGEP2(writer->builder, writer->f32, writer->table, &place, 1, "");
    LLVMValueRef vector = LLVMBuildLoad2(writer->builder, LLVMVectorType(writer->f32, (unsigned)count), address, "");
    LLVMSetAlignment(vector, 4);
    /* Loaded where it is used: hoisted, the tables would take registers from the sums of products. */
    LLVMSetVolatile(vector, true);
    return vector;
}

/* Entries that fit one vector (or two, with AVX-512), permuted. */
static LLVMValueRef permuted(Writer *writer, int first, int entries, LLVMValueRef index)
{
    if (writer->lanes == 16 && entries == 32) {
        LLVMValueRef arguments[] = {table_vector(writer, first, 16), index, table_vector(writer, first + 16, 16)};
        return call_intrinsic(writer, "llvm.x86.avx512.vpermi2var.ps.512", NULL, 0, arguments, 3);
    }
    LLVMValueRef table = table_vector(writer, first, entries);
    if (entries < writer->lanes) { /* twice */
        LLVMValueRef order[MOST_LANES];
        for (int i = 0; i < writer->lanes; i++) order[i] = LLVMConstInt(writer->i32, (unsigned)(i % entries), false);
        table = LLVMBuildShuffleVector(writer->builder, table, LLVMGetPoison(LLVMTypeOf(table)), constant_lanes(writer, order), "");
    }
    LLVMValueRef arguments[] = {table, index};
    return call_intrinsic(writer, writer->lanes == 16 ? "llvm.x86.avx512.permvar.sf.512" : "llvm.x86.avx2.permps", NULL, 0, arguments, 2);
}

/* Halves of the table, chosen by the bit of the index above them. */
static LLVMValueRef lookup_lanes(Writer *writer, int first, int entries, LLVMValueRef index)
{
    if (entries <= writer->lanes || writer->lanes == 16) return permuted(writer, first, entries, index);
    LLVMValueRef low = lookup_lanes(writer, first, entries / 2, index), high = lookup_lanes(writer, first + entries / 2, entries / 2, index);
    int bit = 0;
    while (2 << bit != entries) bit++;
    LLVMValueRef shifted = LLVMBuildShl(writer->builder, index, splat_whole(writer, 31 - bit, true), "");
    LLVMValueRef upper = LLVMBuildICmp(writer->builder, LLVMIntSLT, shifted, LLVMConstNull(LLVMTypeOf(shifted)), "");
    return choose(writer, upper, high, low);
}

static LLVMValueRef lookup_one(Writer *writer, const Value *value, LLVMValueRef index)
{
    LLVMBuilderRef builder = writer->builder;
    LLVMValueRef entry = LLVMBuildAnd(builder, index, LLVMConstInt(writer->i32, (unsigned long long)value->whole - 1, false), "");
    entry = LLVMBuildAdd(builder, entry, LLVMConstInt(writer->i32, (unsigned long long)value->first, false), "");
    LLVMValueRef address = LLVMBuildGEP2(builder, writer->f32, writer->table, &entry, 1, "");
    return LLVMBuildLoad2(builder, writer->f32, address, "");
}

static LLVMValueRef lookup(Writer *writer, const Value *value)
{
    LLVMBuilderRef builder = writer->builder;
    LLVMValueRef index = operand(writer, value, 0);
    if (!value_is_vector(writer, value->type)) return lookup_one(writer, value, index);
    if (writer->lanes >= 8) return lookup_lanes(writer, value->first, (int)value->whole, index);
    LLVMValueRef result = LLVMGetPoison(value_type(writer, value->type));
    for (int i = 0; i < writer->lanes; i++) {
        LLVMValueRef lane = LLVMConstInt(writer->i32, (unsigned)i, false);
        LLVMValueRef entry = lookup_one(writer, value, LLVMBuildExtractElement(builder, index, lane, ""));
        result = LLVMBuildInsertElement(builder, result, entry, lane, "");
    }
    return result;
}

/* --- over lanes --------------------------------------------------------------------------------------------------- */

/* The lanes exchanged at a distance: one level of the tree. */
static LLVMValueRef swapped(Writer *writer, LLVMValueRef vector, int distance)
{
    LLVMValueRef order[MOST_LANES];
    for (int i = 0; i < writer->lanes; i++) order[i] = LLVMConstInt(writer->i32, (unsigned)(i ^ distance), false);
    return LLVMBuildShuffleVector(writer->builder, vector, LLVMGetPoison(LLVMTypeOf(vector)), constant_lanes(writer, order), "");
}

static LLVMValueRef zipped(Writer *writer, const Value *value)
{
    LLVMValueRef order[MOST_LANES];
    for (int i = 0; i < writer->lanes; i++) {
        int lane = i / 2 + (value->op == OP_ZIP_HIGH ? writer->lanes / 2 : 0);
        order[i] = LLVMConstInt(writer->i32, (unsigned)(lane + i % 2 * writer->lanes), false);
    }
    return LLVMBuildShuffleVector(writer->builder, operand(writer, value, 0), operand(writer, value, 1), constant_lanes(writer, order), "");
}

static LLVMValueRef combined(Writer *writer, Op op, LLVMValueRef a, LLVMValueRef b)
{
    if (op == OP_REDUCE_ADD) return LLVMBuildFAdd(writer->builder, a, b, "");
    if (op == OP_REDUCE_MUL) return LLVMBuildFMul(writer->builder, a, b, "");
    LLVMValueRef least = extreme_of(writer, true, op == OP_REDUCE_MIN, a, b);
    return choose(writer, LLVMBuildFCmp(writer->builder, LLVMRealUNO, a, a, ""), a, least);
}

static LLVMValueRef over_lanes(Writer *writer, const Value *value)
{
    LLVMValueRef a = operand(writer, value, 0), lane = NULL;
    if (writer->lanes == 1) return a;
    for (int distance = writer->lanes / 2; distance >= 1; distance /= 2) a = combined(writer, value->op, a, swapped(writer, a, distance));
    lane = LLVMConstInt(writer->i32, 0, false);
    return LLVMBuildExtractElement(writer->builder, a, lane, "");
}

static LLVMValueRef element_function(Writer *writer, const Value *value)
{
    int row = writer->form->target->lanes > 1 && (writer->lanes == 1 || value->type == VALUE_FLOAT) ? 1 : 0;
    LLVMValueRef function = writer->functions[row][value->function], arguments[2] = {operand(writer, value, 0), NULL};
    if (!function) bug("element function %d has no code", value->function);
    int count = value->operands[1] ? 2 : 1;
    if (count == 2) arguments[1] = operand(writer, value, 1);
    return LLVMBuildCall2(writer->builder, LLVMGlobalGetValueType(function), function, arguments, (unsigned)count, "");
}

static LLVMValueRef variable(Writer *writer, const Value *value)
{
    LLVMValueRef known = *variable_slot(writer, value->variable);
    if (!known) bug("variable %s is read before it has a value", value->variable->name);
    if (!writer->changes[value->variable->id]) return known;
    return LLVMBuildLoad2(writer->builder, value_type(writer, value->variable->type), known, "");
}

LLVMValueRef write_value(Writer *writer, const Value *value)
{
    switch (value->op) {
    case OP_NUMBER: return number(writer, value);
    case OP_INT: return whole_number(writer, value);
    case OP_VARIABLE: return variable(writer, value);
    case OP_LOAD:
    case OP_LOAD_VECTOR:
    case OP_LOAD_PART: return load(writer, value);
    case OP_LANES: return lane_numbers(writer);
    case OP_ADD:
    case OP_SUB:
    case OP_MUL:
    case OP_DIV: return arithmetic(writer, value);
    case OP_FMA: return fused(writer, value);
    case OP_NEG: return negated(writer, value);
    case OP_MIN:
    case OP_MAX: {
        LLVMValueRef a = operand(writer, value, 0);
        return extreme_of(writer, is_real(value->type), value->op == OP_MIN, a, operand(writer, value, 1));
    }
    case OP_MIN_ABS: return least_size(writer, value);
    case OP_POSITIVE: return positive_part(writer, value);
    case OP_ABS: return absolute(writer, value);
    case OP_SQRT: return unary(writer, value, "llvm.sqrt");
    case OP_FLOOR: return unary(writer, value, "llvm.floor");
    case OP_ROUND: return unary(writer, value, "llvm.roundeven");
    case OP_FLOORDIV:
    case OP_MOD: return floored(writer, value);
    case OP_LT:
    case OP_LE:
    case OP_EQ:
    case OP_NE: return compare(writer, value);
    case OP_AND:
    case OP_OR: return logical(writer, value);
    case OP_NOT: return LLVMBuildNot(writer->builder, operand(writer, value, 0), "");
    case OP_SELECT: return choice(writer, value);
    case OP_SPLAT:
    case OP_SPLAT_FLAG:
    case OP_TO_FLOAT:
    case OP_TO_INT:
    case OP_BITS_TO_FLOAT:
    case OP_FLOAT_TO_BITS: return convert(writer, value);
    case OP_SHIFT_LEFT:
    case OP_SHIFT_RIGHT: return shift(writer, value);
    case OP_ZIP_LOW:
    case OP_ZIP_HIGH: return zipped(writer, value);
    case OP_SCALE: return scale(writer, value);
    case OP_LOOKUP: return lookup(writer, value);
    case OP_CALL: return element_function(writer, value);
    case OP_REDUCE_ADD:
    case OP_REDUCE_MUL:
    case OP_REDUCE_MIN:
    case OP_REDUCE_MAX: return over_lanes(writer, value);
    case OP_COUNT: break;
    }
    bug("operation %d can't be written as LLVM", (int)value->op);
}
