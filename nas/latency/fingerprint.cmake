# Writes OUT: a fingerprint of everything that decides how fast a plan runs. SOURCES are hashed in sorted order by
# their path below ROOT, FLAGS is the text of compiler and flags.
list(SORT SOURCES)
set(all "${FLAGS}")
foreach(source IN LISTS SOURCES)
  file(SHA256 ${source} hash)
  file(RELATIVE_PATH name ${ROOT} ${source})
  string(APPEND all "\n${name} ${hash}")
endforeach()
string(SHA256 whole "${all}")
string(SUBSTRING ${whole} 0 16 fingerprint)
file(WRITE ${OUT} "#include \"nas/latency/machine.h\"\n\nnamespace offramp::nas {\n\n"
  "std::string_view kernel_fingerprint() { return \"${fingerprint}\"; }\n\n}  // namespace offramp::nas\n")
