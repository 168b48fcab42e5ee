# gmlpc_add_model(TARGET MODEL model.gm
#                 [NAME model_name]            which model, when the file holds several
#                 [OUTPUT name]                name of the generated files; default: the .gm file's
#                 [SET A=1 B=2 …]              compile-time values
#                 [TARGET_FORM all]            all, scalar, avx2, avx512, neon
#                 [WEIGHTS w.safetensors]      packed at build time into OUTPUT.gmw beside the program
#                 [BIND name]                  the bind declaration that fits the checkpoint
#                 [WEIGHTS_MODE file])         file, incbin or inline
#
# Compiles the model when it changes, adds the C file to TARGET and its header to TARGET's include path.
# The property GMLPC_WEIGHTS of TARGET lists the weight files.
function(gmlpc_add_model target)
  cmake_parse_arguments(ARG "" "MODEL;NAME;OUTPUT;TARGET_FORM;WEIGHTS;BIND;WEIGHTS_MODE" "SET" ${ARGN})
  if(NOT ARG_MODEL)
    message(FATAL_ERROR "gmlpc_add_model: MODEL is missing")
  endif()
  if(ARG_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "gmlpc_add_model: unknown arguments ${ARG_UNPARSED_ARGUMENTS}")
  endif()
  get_filename_component(model "${ARG_MODEL}" ABSOLUTE)
  if(NOT ARG_OUTPUT)
    get_filename_component(ARG_OUTPUT "${ARG_MODEL}" NAME_WE)
  endif()
  set(directory "${CMAKE_CURRENT_BINARY_DIR}/gmlpc_${target}")
  file(MAKE_DIRECTORY "${directory}")
  set(source "${directory}/${ARG_OUTPUT}.c")
  set(header "${directory}/${ARG_OUTPUT}.h")
  set(weights "${directory}/${ARG_OUTPUT}.gmw")

  set(options "")
  if(ARG_NAME)
    list(APPEND options --model "${ARG_NAME}")
  endif()
  foreach(value IN LISTS ARG_SET)
    list(APPEND options --set "${value}")
  endforeach()
  if(ARG_TARGET_FORM)
    list(APPEND options --target "${ARG_TARGET_FORM}")
  endif()
  set(checkpoint "")
  if(ARG_WEIGHTS)
    get_filename_component(checkpoint "${ARG_WEIGHTS}" ABSOLUTE)
  endif()
  set(weight_options --weights "${checkpoint}")
  if(ARG_BIND)
    list(APPEND weight_options --bind "${ARG_BIND}")
  endif()

  set(emit ${options})
  set(depends "${model}")
  if(ARG_WEIGHTS_MODE)
    list(APPEND emit --weights-mode "${ARG_WEIGHTS_MODE}")
  endif()
  if(checkpoint AND (ARG_WEIGHTS_MODE STREQUAL "inline" OR ARG_WEIGHTS_MODE STREQUAL "incbin"))
    list(APPEND emit ${weight_options})
    list(APPEND depends "${checkpoint}")
  endif()
  set(made "${source}" "${header}")
  if(checkpoint AND ARG_WEIGHTS_MODE STREQUAL "incbin")
    list(APPEND made "${weights}")
    # The assembler looks for the weights where they were written.
    set_source_files_properties("${source}" PROPERTIES COMPILE_OPTIONS "-Wa,-I${directory}" OBJECT_DEPENDS "${weights}")
  endif()
  add_custom_command(OUTPUT ${made}
    COMMAND "${GMLPC_EXECUTABLE}" "${model}" ${emit} -o "${source}"
    DEPENDS ${depends} COMMENT "gmlpc ${ARG_OUTPUT}.c" VERBATIM)
  target_sources(${target} PRIVATE "${source}")
  target_include_directories(${target} PRIVATE "${directory}")
  if(checkpoint AND (NOT ARG_WEIGHTS_MODE OR ARG_WEIGHTS_MODE STREQUAL "file"))
    add_custom_command(OUTPUT "${weights}"
      COMMAND "${GMLPC_EXECUTABLE}" pack "${model}" ${options} ${weight_options} -o "${weights}"
      DEPENDS "${model}" "${checkpoint}" COMMENT "gmlpc ${ARG_OUTPUT}.gmw" VERBATIM)
    target_sources(${target} PRIVATE "${weights}")
    set_property(TARGET ${target} APPEND PROPERTY GMLPC_WEIGHTS "${weights}")
  endif()
endfunction()
