# Writes build_info.cpp at build time, so that the commit is that of the sources compiled, not of the last configure.
# Without git, or outside a repository, the hash is "unknown". Untouched when nothing changed.
set(hash unknown)
set(dirty false)
find_program(git git)
if(git AND EXISTS ${SOURCE}/.git)
  # --no-optional-locks: a build must not write into the repository.
  execute_process(COMMAND ${git} -C ${SOURCE} rev-parse --short=12 HEAD OUTPUT_VARIABLE found RESULT_VARIABLE failed
                  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(NOT failed)
    set(hash ${found})
    execute_process(COMMAND ${git} --no-optional-locks -C ${SOURCE} status --porcelain --untracked-files=no
                    OUTPUT_VARIABLE changes ERROR_QUIET)
    if(changes)
      set(dirty true)
    endif()
  endif()
endif()
configure_file(${SOURCE}/cmake/build_info.cpp.in ${OUT} @ONLY)
