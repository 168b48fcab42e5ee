# Writes the files of the standard library as one C table: library_texts[] = {name, bytes, size}.
set(out "/* Generated from dsl/std by cmake/embed.cmake. */\n#include <stddef.h>\n")
set(table "")
set(count 0)
foreach(file ${FILES})
  get_filename_component(name ${file} NAME)
  file(READ ${file} hex HEX)
  string(LENGTH "${hex}" length)
  math(EXPR size "${length} / 2")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(APPEND out "static const unsigned char text_${count}[] = {${bytes}0};\n")
  string(APPEND table "    {\"${name}\", (const char *)text_${count}, ${size}},\n")
  math(EXPR count "${count} + 1")
endforeach()
string(APPEND out "typedef struct { const char *name; const char *text; size_t size; } LibraryText;\n"
  "extern const LibraryText library_texts[];\nextern const int library_text_count;\n"
  "const LibraryText library_texts[] = {\n${table}    {NULL, NULL, 0}};\nconst int library_text_count = ${count};\n")
file(WRITE ${OUTPUT} "${out}")
