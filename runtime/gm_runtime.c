/* The freestanding core: texts and fields. */
#include "gm_runtime.h"

const char *gm_status_text(int status)
{
    if (status > 0) return "an input that is used as a subscript was out of range";
    switch (status) {
    case GM_OK: return "all is well";
    case GM_ERROR_NULL: return "a pointer is NULL, or the model needs weights and got none";
    case GM_ERROR_ALIGNMENT: return "the address of the weights or of the arena is not aligned";
    case GM_ERROR_SHORT: return "the weight file is cut short";
    case GM_ERROR_MAGIC: return "this is no weight file";
    case GM_ERROR_VERSION: return "the weight file has another format version";
    case GM_ERROR_BYTE_ORDER: return "the weight file has another byte order than this machine";
    case GM_ERROR_MODEL: return "the weight file belongs to another model, or to another version of this one";
    case GM_ERROR_LAYOUT: return "the weight file was packed for another target family";
    case GM_ERROR_SIZE: return "the sizes in the weight file contradict the model or the file";
    case GM_ERROR_CHECKSUM: return "the weight file is damaged (checksum)";
    case GM_ERROR_CPU: return "this processor or operating system can't run the code";
    case GM_ERROR_NO_SELFTEST: return "the weight file has no self-test";
    case GM_ERROR_SELFTEST: return "the self-test gave wrong outputs";
    case GM_ERROR_FILE: return "the file can't be opened or mapped";
    default: return "an unknown status code";
    }
}

uint32_t gm_read_u32(const void *bytes)
{
    const unsigned char *p = (const unsigned char *)bytes;
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint64_t gm_read_u64(const void *bytes)
{
    const unsigned char *p = (const unsigned char *)bytes;
    return (uint64_t)gm_read_u32(p) | (uint64_t)gm_read_u32(p + 4) << 32;
}

size_t gm_element_bytes(int type)
{
    return type == GM_I64 ? 8 : type == GM_U8 ? 1 : 4;
}

size_t gm_tensor_elements(const gm_tensor *tensor)
{
    size_t count = 1;
    for (int i = 0; i < tensor->rank; i++) count *= (size_t)tensor->extents[i];
    return count;
}
