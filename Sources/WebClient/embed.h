// One entry of the table in WebClient.c: the file that FILE names, relative to this header.
//
// The table includes this header once for each file, so it has no include guard. It is a header
// and not a macro, because a macro cannot contain a directive. `sizeof` does not evaluate its
// operand, so the second array only yields the size and is never stored.

// clang-format off: it formats the braces around a directive as if they opened a block.
    {.name = FILE,
     .bytes = (const uint8_t[]){
#embed FILE
     },
     .count = sizeof((const uint8_t[]){
#embed FILE
     })},
// clang-format on

#undef FILE
