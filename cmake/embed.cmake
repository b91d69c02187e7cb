# Writes OUTPUT, a C++ file that holds every file of the list FILES as a string literal: the body of
#   const std::vector<TYPE>& NAMESPACE::FUNCTION(), TYPE = {name, text}, both declared in HEADER.
set(code "// Made from the files below by cmake/embed.cmake.\n#include \"${HEADER}\"\n\nnamespace ${NAMESPACE} {\n\n")
string(APPEND code "const std::vector<${TYPE}>& ${FUNCTION}() {\n  static const std::vector<${TYPE}> list = {\n")
foreach(file IN LISTS FILES)
  get_filename_component(name ${file} NAME_WE)
  file(READ ${file} text)
  if(text MATCHES "\\)embed\"")
    message(FATAL_ERROR "${file}: holds the end mark of the string literal it is to become")
  endif()
  string(APPEND code "      {\"${name}\", R\"embed(" "${text}" ")embed\"},\n")
endforeach()
string(APPEND code "  };\n  return list;\n}\n\n}  // namespace ${NAMESPACE}\n")
file(WRITE ${OUTPUT} "${code}")
